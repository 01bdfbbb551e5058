"""What a segment holds, as its reader in the child process tells it."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from workplatform.hls_check.media import ByteRange

Start = Literal["keyframe", "open keyframe", "picture"]


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes of a file, all of them without a range; `key` and `iv` decrypt AES-128."""

    path: Path
    range: ByteRange | None = None
    key: bytes | None = None
    iv: bytes | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A segment to be read; `init` is what EXT-X-MAP names."""

    media: Source
    init: Source | None = None
    is_iframe: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """One stream of a segment; moments are in ticks of `tick` seconds.

    `codec` is the name after RFC 6381, None where it cannot be told; `frame_ticks` is the distance that frames usually
    have, `longest_step` the longest, and `is_steady` says that all have the same; `start` is what pictures begin with,
    and `light` says by a code of ISO/IEC 23091-2 how their samples mean light.
    """

    kind: str
    format: str
    codec: str | None
    sample_entry: str
    tick: Fraction
    first: int
    end: int
    first_decoded: int
    last_decoded: int
    count: int
    keyframes: int
    frame_ticks: int
    longest_step: int
    is_steady: bool
    start: Start | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    light: int | None = None

    @property
    def is_video(self) -> bool:
        """Whether it is a picture."""
        return self.kind == "video"

    @property
    def first_s(self) -> float:
        """When its first sample is shown."""
        return float(self.first * self.tick)

    @property
    def duration_s(self) -> float:
        """From its first sample to the end of its last."""
        return float((self.end - self.first) * self.tick)


@dataclass(frozen=True, slots=True)
class Facts:
    """A segment: its container, streams, size on the wire, and breaches of rules that its bytes show by themselves.

    `declared` are the kinds of all streams that its tables name; `tracks` are those that have samples.
    """

    container: str
    size_bytes: int
    tracks: tuple[Track, ...] = ()
    declared: tuple[str, ...] = ()
    text: str | None = None
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def video(self) -> Track | None:
        """Its pictures."""
        return next((track for track in self.tracks if track.is_video), None)

    @property
    def audio(self) -> Track | None:
        """Its first sound."""
        return next((track for track in self.tracks if track.kind == "audio"), None)

    @property
    def main(self) -> Track | None:
        """The stream that tells when the segment begins."""
        return self.video or self.audio
