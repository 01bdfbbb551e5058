"""The ffmpeg program: where it is, how it is started safely, and what it says while it runs and when it fails."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import imageio_ffmpeg

_PREFIX = re.compile(r"^(\[[^\]]*\] ?)+")
# What ffmpeg says after the reason, and would hide it: the collapse of its threads and its last summary.
_AFTERMATH = re.compile(
    r"Conversion failed|Task finished with error|Terminating thread|Nothing was written into output|"
    r"Error (sending frames|while filtering|submitting|muxing a packet|writing trailer|closing file)|"
    r"Could not open encoder before EOF|Last message repeated|All tee outputs failed|Slave '"
)
_BROKEN_PACKET = "Error applying bitstream filters to an output packet"
_NO_SPACE = "No space left on device"


def binary() -> str:
    """Return the ffmpeg to run: that of FFMPEG_BIN, else the one of the imageio-ffmpeg wheel (5.1 or newer)."""
    return os.environ.get("FFMPEG_BIN") or str(imageio_ffmpeg.get_ffmpeg_exe())


def is_the_wheels() -> bool:
    """Whether it is the one of the wheel, which has options that version 5.1 has not."""
    return not os.environ.get("FFMPEG_BIN")


def quiet_start() -> list[str]:
    """Return the beginning of a command that asks nothing, and reports progress on its standard output.

    However much of a video is broken, what can be decoded is not thrown away.
    """
    words = [binary(), "-hide_banner", "-nostdin", "-y", "-loglevel", "warning", "-nostats", "-progress", "pipe:1"]
    return [*words, "-max_error_rate", "1"]


def only_this_file(container: str, longest_step_s: float | None) -> dict[str, str | float]:
    """Return input options that keep ffmpeg from opening anything but one file of the named container format.

    It takes a clock for one that has begun anew where it steps by more than `longest_step_s`; None: as it likes.

    A playlist that takes the place of a video after it was probed is refused too: its format is not the named one.
    """
    only: dict[str, str | float] = {"protocol_whitelist": "file", "format_whitelist": container}
    return only if longest_step_s is None else {**only, "dts_delta_threshold": longest_step_s}


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of ffmpeg: seconds of media written, frames of the first picture stream, multiple of real time."""

    written_s: float = 0.0
    frames: int = 0
    speed: float | None = None


class ProgressReader:
    """Puts the `key=value` lines of `-progress` together to reports."""

    def __init__(self) -> None:
        self.latest = Progress()
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Progress | None:
        """Take one line; return the report that it completes, if it does."""
        key, _, value = line.strip().partition("=")
        self._fields[key] = value.strip()
        if key != "progress":
            return None
        before = self.latest
        self.latest = Progress(
            written_s=max(before.written_s, _number(self._fields.get("out_time_us"), 0.0) / 1e6),
            frames=int(_number(self._fields.get("frame"), before.frames)),
            speed=_number(self._fields.get("speed", "").removesuffix("x"), 0.0) or before.speed,
        )
        self._fields.clear()
        return self.latest


def _number(text: str | None, otherwise: float) -> float:
    """Read a number; ffmpeg writes N/A for what it does not know yet."""
    try:
        return float(text or "")
    except ValueError:
        return otherwise


def in_words(seconds: float) -> str:
    """Return how long is left, in the two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def failure_reason(returncode: int, stderr: Iterable[str]) -> str:
    """Return why ffmpeg ended badly, as it said itself, in one line."""
    lines = [_PREFIX.sub("", line).strip() for line in stderr]
    telling = [line for line in lines if line and not _AFTERMATH.search(line)]
    if telling:
        return telling[-1].rstrip(".")
    return f"it was ended by signal {-returncode}" if returncode < 0 else f"it ended with code {returncode}"


def is_not_to_be_copied(stderr: Iterable[str]) -> bool:
    """Whether a packet that should have been taken over as it is was too broken for the new file."""
    return any(_BROKEN_PACKET in line for line in stderr)


def is_disk_full(stderr: Iterable[str]) -> bool:
    """Whether ffmpeg ran out of disk space."""
    return any(_NO_SPACE in line for line in stderr)
