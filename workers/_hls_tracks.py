"""The sounds and subtitles of a video: which there are, which are wanted, and how players name them.

What is read here of the file runs in an isolated child.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Protocol, TypeVar

from av.audio.stream import AudioStream
from av.stream import Disposition, Stream

from workers._languages import language_name, language_tag
from workers._probe import SourceAudio, source_audio
from workers._stream_ends import stream_ends
from workers._video import open_video
from workplatform.errors import BadInputError

# Codecs whose text can be shown as WebVTT; the others are pictures, or nothing that a decoder here reads.
_TEXT_CODECS = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class TrackLabel:
    """What a file says about a track: a BCP 47 `language` if it names one, a `title` in its author's words."""

    language: str | None = None
    title: str | None = None
    is_default: bool = False
    is_forced: bool = False
    is_for_the_blind: bool = False
    is_for_the_deaf: bool = False


class Labelled(Protocol):
    """Any track."""

    @property
    def label(self) -> TrackLabel:
        """What the file says about it."""


T = TypeVar("T", bound=Labelled)


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """An audio stream that can be decoded; `is_best` is the one that a player takes unless told otherwise."""

    audio: SourceAudio
    label: TrackLabel
    is_best: bool


@dataclass(frozen=True, slots=True)
class TextTrack:
    """A subtitle stream, by its number in the file."""

    index: int
    codec: str
    label: TrackLabel

    @property
    def is_text(self) -> bool:
        """Whether it is text and no pictures."""
        return self.codec in _TEXT_CODECS


@dataclass(frozen=True, slots=True)
class Tracks:
    """What a video has besides its picture."""

    sounds: tuple[SoundTrack, ...] = ()
    texts: tuple[TextTrack, ...] = ()


def read_tracks(path: Path, name: str) -> Tracks:
    """List the tracks of the video at `path`, called `name` by its user. Raises BadInputError."""
    with open_video(path, name, probe=True) as video:
        streams = video.container.streams
        best = streams.best("audio")
        heard = [stream for stream in streams.audio if isinstance(stream, AudioStream)]
        ends = stream_ends(video.container, heard)
        described = [(stream, source_audio(video.container, stream, ends.get(stream.index))) for stream in heard]
        return Tracks(
            sounds=tuple(
                SoundTrack(audio, _label(stream), best is not None and stream.index == best.index)
                for stream, audio in described
                if audio is not None
            ),
            texts=tuple(
                TextTrack(stream.index, stream.codec_context.name if stream.codec_context else "", _label(stream))
                for stream in streams.subtitles
            ),
        )


def _label(stream: Stream) -> TrackLabel:
    flags = stream.disposition
    return TrackLabel(
        language=language_tag(stream.metadata.get("language")),
        title=_printable(stream.metadata.get("title", "")) or None,
        is_default=bool(flags & Disposition.default),
        is_forced=bool(flags & Disposition.forced),
        is_for_the_blind=bool(flags & Disposition.visual_impaired),
        is_for_the_deaf=bool(flags & Disposition.hearing_impaired),
    )


def _printable(title: str) -> str:
    """Return a title as a playlist's quoted string can hold it: one line without quotation marks and variables."""
    text = "".join(letter if letter.isprintable() else " " for letter in title.replace('"', "'").replace("{$", "($"))
    return " ".join(text.split())[:_LONGEST_NAME]


def chosen_sounds(sounds: Sequence[SoundTrack], asked: str | Sequence[str]) -> list[SoundTrack]:
    """Return the wanted sounds: `default` is the best one, `all` are all, languages are those in the order named.

    Raises BadInputError for a language that there is not.
    """
    if asked == "all":
        return list(sounds)
    if isinstance(asked, str):
        return [sound for sound in sounds if sound.is_best][:1]
    found: list[SoundTrack] = []
    for language in asked:
        tag = language_tag(language)
        matching = [sound for sound in sounds if _speaks(sound.label.language, tag) and sound not in found]
        if not any(_speaks(sound.label.language, tag) for sound in sounds):
            have = ", ".join(sound.label.language or "one of no named language" for sound in sounds)
            raise BadInputError(f"audioTracks: the video has no sound in {language!r}; it has {have or 'none at all'}")
        found += matching
    return found


def _speaks(language: str | None, asked: str | None) -> bool:
    """Whether a language is the one asked for, or a regional form of it (RFC 4647 section 3.3.1)."""
    if language is None or asked is None:
        return False
    language, asked = language.lower(), asked.lower()
    return language == asked or language.startswith(f"{asked}-")


def default_of(tracks: Sequence[SoundTrack]) -> SoundTrack:
    """Return the sound to play first: the best if it is among these, else the first."""
    return next((track for track in tracks if track.is_best), tracks[0])


def chosen_by_players(tracks: Sequence[T]) -> list[T]:
    """Return the tracks that a player may choose by itself: of those that it cannot tell apart, the first."""
    found: dict[tuple[str | None, bool, str | None], T] = {}
    for track in tracks:
        label = track.label
        found.setdefault((label.language, label.is_forced, characteristics(label)), track)
    return list(found.values())


def player_names(tracks: Iterable[Labelled], otherwise: str) -> list[str]:
    """Return a name for each track, all different: its title, else its language, else `otherwise`."""
    names: list[str] = []
    for track in tracks:
        label = track.label
        name = label.title or (language_name(label.language) if label.language else otherwise)
        numbered = chain([name], (f"{name} ({number})" for number in count(2)))
        names.append(next(one for one in numbered if one not in names))
    return names


def folder_name(kind: str, number: int, label: TrackLabel) -> str:
    """Return the folder of a track, such as `audio-1-en`."""
    return f"{kind}-{number}-{label.language.lower()}" if label.language else f"{kind}-{number}"


def characteristics(label: TrackLabel) -> str | None:
    """Return the characteristics that players choose by (RFC 8216bis section 4.4.6.1)."""
    found = []
    if label.is_for_the_deaf:
        found = [f"public.accessibility.{what}" for what in ("transcribes-spoken-dialog", "describes-music-and-sound")]
    if label.is_for_the_blind:
        found = ["public.accessibility.describes-video"]
    return ",".join(found) or None
