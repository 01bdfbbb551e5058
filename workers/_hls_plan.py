"""What an HLS stream is made like: its renditions, the form of their pictures, and which of them is copied."""

from dataclasses import dataclass, replace
from typing import Literal

from workers._hls_ladder import Codec, Rung, SegmentType
from workers._hls_pauses import Pauses
from workers._probe import Colour

_BT2020 = 9


@dataclass(frozen=True, slots=True)
class Form:
    """How all pictures of a stream are coded and packed.

    `makes_sdr` says that the colours of HDR, or of wide gamut, are brought into the range that every screen shows.
    """

    codec: Codec = "h264"
    segment_type: SegmentType = "ts"
    bit_depth: Literal[8, 10] = 8
    makes_sdr: bool = False

    @property
    def pixels(self) -> str:
        """ffmpeg's name of the pixel format."""
        return "yuv420p" if self.bit_depth == 8 else "yuv420p10le"


def form_for(colour: Colour, codec: Codec, segment_type: SegmentType, *, tone_map: bool) -> Form:
    """Return the form of the renditions of a video of these colours.

    H.264 has 8 bits, since few players take more; HEVC and AV1 keep 10, and HDR with them.
    """
    if codec == "h264":
        is_wide = colour.is_hdr or colour.primaries == _BT2020
        return Form(codec, segment_type, 8, makes_sdr=tone_map and is_wide)
    return Form(codec, segment_type, 10 if colour.bit_depth > 8 else 8)


@dataclass(frozen=True, slots=True)
class Passage:
    """The rendition called `name`, whose picture is copied from the source, packet by packet.

    Its segments after the first begin at `cuts`, seconds from the start of the file: those keyframes at which a muxer
    cuts that is told to begin a segment at the first keyframe after each multiple of `step_s`. All others are cut there
    too. `frames` is the number of its pictures, `end_s` when the last one has been shown.
    """

    name: str
    step_s: float
    cuts: tuple[float, ...]
    frames: int
    end_s: float


@dataclass(frozen=True, slots=True)
class Ladder:
    """The renditions to make, in the order asked; `pauses` are those of the source, if it has any."""

    rungs: tuple[Rung, ...]
    form: Form = Form()
    pauses: Pauses | None = None
    passage: Passage | None = None

    @property
    def encoded(self) -> tuple[Rung, ...]:
        """All but the copy."""
        return tuple(rung for rung in self.rungs if not self.is_copied(rung))

    def is_copied(self, rung: Rung) -> bool:
        """Whether a rung's picture is the source's own."""
        return self.passage is not None and rung.name == self.passage.name

    def copying(self, passage: Passage) -> "Ladder":
        """Return the same ladder with this copy."""
        return replace(self, passage=passage)

    def all_encoded(self) -> "Ladder":
        """Return the same ladder without a copy."""
        return replace(self, passage=None)
