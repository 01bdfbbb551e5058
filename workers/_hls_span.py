"""The part of a source that one run of ffmpeg encodes, on the same clock and the same grid as a run over all of it."""

from dataclasses import dataclass
from typing import Any

# Samples in a packet of AAC: a run that begins at a multiple has its packets where a run from the start has them.
_PACKET_SAMPLES = 1024
# Times were rounded: a picture at the very beginning must not be missed.
_TOLERANCE_S = 0.001


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds after the source's start; `seek_s` is where reading begins, up to `begin_s`; no `end_s` is its end."""

    begin_s: float = 0.0
    end_s: float | None = None
    seek_s: float = 0.0

    def input_options(self, late_s: float) -> dict[str, Any]:
        """Return how ffmpeg reads this part, and gives every picture and sample the time that it has in the whole.

        `late_s` is when it would let the clock of the whole begin by itself.
        """
        options: dict[str, Any] = {}
        if self.seek_s > 0:
            options["ss"] = f"{self.seek_s:.6f}"
        if shift_s := max(self.seek_s, late_s):
            options["itsoffset"] = f"{shift_s:.6f}"
        if self.end_s is not None:
            options["t"] = f"{self.end_s - self.seek_s:.6f}"
        return options

    def is_after_begin(self, moment_s: float) -> bool:
        """Whether something happens after the first picture."""
        return not self.begin_s or moment_s > self.begin_s + _TOLERANCE_S

    def pictures(self, stream: Any) -> Any:
        """Drop the pictures before the beginning: seeking ends at a keyframe before it."""
        if not self.begin_s:
            return stream
        return stream.filter("trim", start=f"{self.begin_s - _TOLERANCE_S:.6f}")

    def sounds(self, stream: Any, rate: int) -> Any:
        """Bring the sound to this rate, without what comes before the beginning: both at once go wrong in ffmpeg."""
        if not self.begin_s:
            return stream
        begun = stream.filter("atrim", start=f"{self.first_sample(rate) / rate:.6f}")
        return begun.filter("aresample", rate, **{"async": 1})

    def first_sample(self, rate: int) -> int:
        """Return the sample to begin with at this rate: one that begins a packet."""
        return int(self.begin_s * rate) // _PACKET_SAMPLES * _PACKET_SAMPLES


WHOLE = Span()
