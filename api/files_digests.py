"""Checksums that a request brings: read from its headers, fed with the bytes as they come, compared at the end."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from api.problems import RequestError

GetHeader = Callable[[str], str | None]

_ALGORITHMS: Final[dict[str, Callable[[], Any]]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
_WHOLE: Final = ("Digest", "Repr-Digest")  # RFC 3230 and RFC 9530: of the file, whatever part of it is sent
_SENT: Final = ("Content-Digest", "Content-MD5")  # RFC 9530 and RFC 1864: of what is sent
_BYTES: Final = re.compile(r":([A-Za-z0-9+/=]*):")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says of the bytes."""

    header: str
    algorithm: str
    digest: bytes

    @property
    def is_of_whole(self) -> bool:
        """Whether it is about the file, and not about the part of it that is sent."""
        return self.header in _WHOLE


def claims(header: GetHeader) -> list[Claim]:
    """Read the headers; raises RequestError (400) for one that cannot be checked."""
    found: list[Claim] = []
    for name in (*_WHOLE, *_SENT):
        if text := header(name):
            known = [Claim(name, *pair) for pair in _pairs(name, text)]
            if not known:
                raise _unusable(name, f"names none of {', '.join(_ALGORITHMS)}")
            found += known
    return found


class Digests:
    """The running checksums of some claims."""

    def __init__(self, claimed: Iterable[Claim]) -> None:
        self._running = [(claim, _ALGORITHMS[claim.algorithm]()) for claim in claimed]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self._running)

    def update(self, data: Any) -> None:
        """Take the next bytes."""
        for _, running in self._running:
            running.update(data)

    def check(self) -> None:
        """Raise RequestError (400) if the bytes are not those that a header claims."""
        for claim, running in self._running:
            if not hmac.compare_digest(running.digest(), claim.digest):
                raise RequestError(
                    HTTPStatus.BAD_REQUEST,
                    f"{claim.header}: the {claim.algorithm} of what arrived is another one; send it again",
                    code="checksum",
                    problems=[
                        {
                            "pointer": f"/{claim.header}",
                            "header": claim.header,
                            "detail": f"what arrived has {base64.b64encode(running.digest()).decode()}",
                        }
                    ],
                )


def _pairs(name: str, text: str) -> Iterator[tuple[str, bytes]]:
    if name == "Content-MD5":
        yield "md5", _decoded(name, text.strip(), "md5")
        return
    for item in text.split(","):
        key, mark, value = item.strip().partition("=")
        algorithm = key.strip().lower()
        if not mark or not algorithm:
            raise _unusable(name, "is not a list of ALGORITHM=VALUE")
        if algorithm in _ALGORITHMS:
            yield algorithm, _decoded(name, value.strip(), algorithm)


def _decoded(name: str, text: str, algorithm: str) -> bytes:
    if name.endswith("-Digest"):
        wrapped = _BYTES.match(text)
        if not wrapped:
            raise _unusable(name, f"{algorithm} must be base64 between colons (RFC 9530)")
        text = wrapped[1]
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unusable(name, f"{algorithm} is not base64") from error
    wanted = _ALGORITHMS[algorithm]().digest_size
    if len(digest) != wanted:
        raise _unusable(name, f"{algorithm} has {wanted} bytes, this has {len(digest)}")
    return digest


def _unusable(name: str, detail: str) -> RequestError:
    problem = {"pointer": f"/{name}", "header": name, "detail": detail}
    return RequestError(HTTPStatus.BAD_REQUEST, f"{name}: {detail}", code="bad_header", problems=[problem])
