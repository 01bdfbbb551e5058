"""The sounds and subtitles of an encoded file: which are kept, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from workers._encode_containers import TEXT, Container
from workers._encode_film import Film, Track
from workers._encode_models import EncodePayload
from workers._encode_span import Span
from workers._languages import language_tag
from workplatform.errors import BadInputError

_CHANNEL_BITRATES = {"aac": 64_000, "libopus": 48_000}
_NAMES = {"aac": "aac", "libopus": "opus"}
_RATE = 48_000
# From this on, what is missing of a sound is made up for at once: less is hardly heard against the picture.
_HOLE_S = 0.04
# The layouts that both encoders take; others become the nearest of these.
_LAYOUTS = "mono|stereo|3.0|quad|5.0|5.1|7.1"
_MOST_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound to write; without a `bitrate` it is copied."""

    track: Track
    codec: str
    channels: int
    bitrate: int | None


@dataclass(frozen=True, slots=True)
class Text:
    """Subtitles to write; without an `encoder` they are copied."""

    track: Track
    codec: str
    encoder: str | None


def plan_sounds(payload: EncodePayload, film: Film, *, may_copy: bool) -> list[Sound]:
    """Return the sounds to write. Raises BadInputError for a language that the video does not have."""
    container = payload.container
    return [
        _sound(track, container, payload.audio_bitrate, may_copy=may_copy)
        for track in _wanted(film.sounds, payload.audio)
    ]


def _sound(track: Track, container: Container, bitrate: int | None, *, may_copy: bool) -> Sound:
    if may_copy and bitrate is None and track.codec in container.sounds:
        return Sound(track, track.codec, track.channels, None)
    encoder = container.audio_encoder
    channels = min(track.channels, _MOST_CHANNELS)
    return Sound(track, _NAMES[encoder], channels, bitrate or _CHANNEL_BITRATES[encoder] * channels)


def _wanted(sounds: Sequence[Track], asked: str | Sequence[str]) -> list[Track]:
    if asked == "none":
        return []
    if asked == "all":
        return list(sounds)
    if isinstance(asked, str):
        return [sound for sound in sounds if sound.is_best][:1]
    found: list[Track] = []
    for language in asked:
        tag = language_tag(language) or language
        matching = [sound for sound in sounds if _speaks(sound, tag)]
        if not matching:
            have = ", ".join(sound.language or "one of no named language" for sound in sounds) or "none at all"
            raise BadInputError(f"audio: the video has no sound in {language!r}; it has {have}")
        found += [sound for sound in matching if sound not in found]
    return found


def _speaks(sound: Track, tag: str) -> bool:
    """Whether a sound is in this language, or in a regional form of it."""
    spoken, asked = (sound.language or "").lower(), tag.lower()
    return spoken == asked or spoken.startswith(f"{asked}-")


def plan_texts(payload: EncodePayload, film: Film) -> tuple[list[Text], list[str]]:
    """Return the subtitles to write, and a sentence for each that the file cannot hold."""
    kept: list[Text] = []
    dropped: list[str] = []
    if payload.subtitles == "drop":
        return kept, dropped
    container = payload.container
    for number, track in enumerate(film.texts, 1):
        if track.codec in container.texts:
            kept.append(Text(track, track.codec, None))
        elif track.codec in TEXT:
            codec = "subrip" if container.text_encoder == "srt" else container.text_encoder
            kept.append(Text(track, codec, container.text_encoder))
        else:
            language = f" ({track.language})" if track.language else ""
            suffix = payload.output_path[payload.output_path.rfind(".") :].lower()
            dropped.append(f"subtitles {number}{language}: {track.codec} does not fit into {suffix}")
    return kept, dropped


def track_words(sounds: Sequence[Sound], texts: Sequence[Text], span: Span) -> list[str]:
    """Return ffmpeg's output options for these tracks of a part of a video, in the order in which they are mapped."""
    words: list[str] = []
    for number, sound in enumerate(sounds):
        words += _sound_words(number, sound)
        words += _language(f"a:{number}", sound.track)
    for number, text in enumerate(texts):
        words += [f"-c:s:{number}", text.encoder or "copy", *_language(f"s:{number}", text.track)]
        if text.track.codec in TEXT and (span.start_s or span.length_s is not None):
            words += [f"-bsf:s:{number}", _within(span)]
    return words


def _sound_words(number: int, sound: Sound) -> list[str]:
    if sound.bitrate is None:
        return [f"-c:a:{number}", "copy"]
    encoder = "libopus" if sound.codec == "opus" else sound.codec
    # Silence where the sound has holes, or begins later than the picture.
    filters = f"aresample={_RATE}:async=1:min_hard_comp={_HOLE_S}:first_pts=0,aformat=channel_layouts={_LAYOUTS}"
    return [f"-c:a:{number}", encoder, f"-b:a:{number}", str(sound.bitrate), f"-filter:a:{number}", filters]


def _within(span: Span) -> str:
    """Return the filter that takes a text off the screen at the ends of a part, and leaves out what is not in it.

    Else one that was there before the start would move all the rest behind it, and one after the end make it longer.
    """
    outside, end = "lte(pts+duration,0)", "PTS+DURATION"
    if span.length_s is not None:
        outside += f"+gte(pts*tb,{span.length_s:.6f})"
        end = f"min(PTS+DURATION,{span.length_s:.6f}/TB)"
    return f"noise=drop='{outside}',setts=ts='max(TS,0)':duration='{end}-max(PTS,0)'"


def _language(place: str, track: Track) -> list[str]:
    """Return the options that name the language, which would go with the rest of the metadata."""
    return [f"-metadata:s:{place}", f"language={track.language_code}"] if track.language_code else []
