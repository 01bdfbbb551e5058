"""What encode has to know about a video besides its picture; what reads the file runs in an isolated child."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from workers._languages import language_tag
from workers._probe import SourceVideo, probe
from workers._video import open_video
from workplatform.channels import channel_count
from workplatform.errors import EncoderError

# ISO 639-2, which MP4 and Matroska want.
_CODE = re.compile(r"[a-z]{3}")
_APPLES_PLACE = "com.apple.quicktime.location.ISO6709"
_ISO_6709 = re.compile(r"(?:[+-][0-9]{1,7}(?:\.[0-9]{1,9})?){2,3}/")
_USUAL_TICK = Fraction(1, 90_000)
_FINEST_TICK, _COARSEST_FINE_TICK = 240_000, 10_000


@dataclass(frozen=True, slots=True)
class Track:
    """A sound or subtitles: its number in the file, `codec` as ffmpeg calls it, `channels` of a sound.

    `language` is a BCP 47 tag, `language_code` what the file says itself, if that is a code of three letters.
    """

    index: int
    codec: str
    language: str | None
    language_code: str | None = None
    channels: int = 0
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Film:
    """A video with its tracks; its pictures' times are multiples of `tick` seconds.

    `place` is where it was recorded, as phones of Apple say it under a name that MP4 knows otherwise.
    """

    video: SourceVideo
    tick: Fraction
    sounds: tuple[Track, ...]
    texts: tuple[Track, ...]
    has_fonts: bool
    place: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was written: its length in seconds and the size of its picture."""

    duration_s: float
    width: int
    height: int


def describe(path: Path, name: str) -> Film:
    """Describe the video at `path`, called `name` by its user. Raises BadInputError."""
    video = probe(path, name)
    with open_video(path, name, probe=False) as opened:
        container = opened.container
        streams = container.streams
        best = streams.best("audio")
        sounds = [
            _track(stream, channels=channels, is_best=best is not None and stream == best)
            for stream in streams.audio
            if isinstance(stream, AudioStream) and stream.codec_context is not None
            if (channels := channel_count(stream.codec_context))
        ]
        texts = [_track(stream) for stream in streams.subtitles]
        fonts = [stream for stream in streams if stream.type == "attachment"]
        tick = _tick(opened.tick, video.frame_rate)
        return Film(video, tick, tuple(sounds), tuple(texts), bool(fonts), _place(container.metadata))


def measure(path: Path) -> Made:
    """Read the header of a file that was written. Raises EncoderError if it cannot be read."""
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    try:
        with av.open(f"file:{path}", "r", container_options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            return Made(_length(container), stream.width, stream.height)
    except (av.FFmpegError, IndexError) as error:
        raise EncoderError("what was encoded cannot be read") from error


def _length(container: InputContainer) -> float:
    return (container.duration or 0) / av.time_base


def _track(stream: Stream, *, channels: int = 0, is_best: bool = False) -> Track:
    codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
    said = stream.metadata.get("language", "")
    code = said if _CODE.fullmatch(said) else None
    return Track(stream.index, codec, language_tag(said), code, channels, is_best)


def _place(metadata: Mapping[str, str]) -> str | None:
    place = metadata.get(_APPLES_PLACE, "")
    return place if _ISO_6709.fullmatch(place) else None


def _tick(tick: Fraction, rate: Fraction | None) -> Fraction:
    """Return what the times of pictures can be counted in without loss, and by encoders and files without overflow."""
    if tick.denominator <= _FINEST_TICK:
        return tick
    if rate is None or rate.numerator > _FINEST_TICK:
        return _USUAL_TICK
    return Fraction(1, rate.numerator * max(1, -(-_COARSEST_FINE_TICK // rate.numerator)))
