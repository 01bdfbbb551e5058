"""What an encode job tells about the file that it wrote."""

from dataclasses import dataclass
from pathlib import Path

from workers._encode_command import Plan
from workers._encode_film import Made
from workers._encode_models import EncodedSound, EncodedText, EncodeResult


@dataclass(frozen=True, slots=True)
class Encoded:
    """How the pictures of a file were made: the rate that was chosen, what it came to, and how many there are."""

    frames: int
    crf: float | None = None
    vmaf: float | None = None


def result_of(plan: Plan, encoded: Encoded, path: Path, made: Made, *, uri: str, dropped: list[str]) -> EncodeResult:
    """Return the result for a file that is complete."""
    size, before = path.stat().st_size, plan.source.stat().st_size
    return EncodeResult(
        output_path=uri,
        size=size,
        saved_bytes=before - size,
        ratio=round(size / before, 4),
        duration=round(made.duration_s, 3),
        frames=encoded.frames,
        width=made.width,
        height=made.height,
        codec=plan.codec,
        bit_depth=plan.picture.bit_depth,
        hdr=plan.picture.is_hdr,
        tone_mapped=plan.picture.is_tone_mapped,
        crf=encoded.crf,
        vmaf=encoded.vmaf,
        audio=[
            EncodedSound(
                codec=sound.codec,
                channels=sound.channels,
                language=sound.track.language,
                copied=sound.bitrate is None,
            )
            for sound in plan.sounds
        ],
        subtitles=[EncodedText(codec=text.codec, language=text.track.language) for text in plan.texts],
        dropped=dropped,
    )
