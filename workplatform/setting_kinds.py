"""The kinds of values that settings have: how their text in the environment is read, and what is refused."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from workplatform.limits import Limit, read_limit

_LONGEST = timedelta(days=3650)
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def split(value: object) -> object:
    """Turn a comma-separated text into a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return timedelta(seconds=float(value))
    except ValueError:  # NaN too
        raise ValueError("must be a number of seconds") from None
    except OverflowError:
        return timedelta.min if value.strip().startswith("-") else timedelta.max


def _bounded(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= _LONGEST:
        longest_s = _LONGEST // timedelta(seconds=1)
        raise ValueError(f"must be more than 0 and at most {longest_s} seconds ({_LONGEST.days} days)")
    return value


def _some_jobs(value: int) -> int:
    if not 1 <= value <= 1000:
        raise ValueError("must be 1 to 1000")
    return value


def _some_time_or_jobs(value: float) -> float:
    longest_s = _LONGEST / timedelta(seconds=1)
    if not 0 < value <= longest_s:
        raise ValueError(f"must be more than 0 and at most {longest_s:.0f}")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if not url.startswith(_REDIS_SCHEMES):
        raise ValueError(f"must start with {', '.join(_REDIS_SCHEMES[:-1])} or {_REDIS_SCHEMES[-1]}")
    try:
        _ = urlsplit(url).port
    except ValueError:  # its own words could hold the password
        raise ValueError("must be a URL such as redis://host:6379/0") from None
    return value


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Words = Annotated[tuple[str, ...], BeforeValidator(split)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Paths = Annotated[tuple[AbsolutePath, ...], BeforeValidator(split)]
Seconds = Annotated[timedelta, BeforeValidator(_seconds), AfterValidator(_bounded)]
LimitText = Annotated[Limit, BeforeValidator(lambda value: read_limit(value) if isinstance(value, str) else value)]
Jobs = Annotated[int, AfterValidator(_some_jobs)]
Kept = Annotated[float, AfterValidator(_some_time_or_jobs)]
