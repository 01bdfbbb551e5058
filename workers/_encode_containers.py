"""The kinds of file that encode writes, and what each can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workers._encode_codecs import Codec

AudioEncoder = Literal["aac", "libopus"]

# Subtitles that are text, and so can be turned into text of another form.
TEXT = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer", "sami", "stl"})
_BITMAPS = frozenset({"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"})
_COMPRESSED = frozenset({"aac", "mp3", "ac3", "eac3"})


@dataclass(frozen=True, slots=True)
class Container:
    """One kind of file.

    `codecs` are those of pictures, the usual one first; `sounds` and `texts` are taken over as they are, other sounds
    are encoded by `audio_encoder` and other text by `text_encoder`. `options` are those of ffmpeg's muxer.
    """

    muxer: str
    codecs: tuple[Codec, ...]
    audio_encoder: AudioEncoder
    sounds: frozenset[str]
    text_encoder: str
    texts: frozenset[str]
    options: tuple[str, ...] = ()


# Uncompressed sound is never taken over: a smaller file is what encode is for.
CONTAINERS: Mapping[str, Container] = {
    ".mp4": Container(
        muxer="mp4",
        codecs=("h264", "hevc", "av1", "vp9"),
        audio_encoder="aac",
        sounds=_COMPRESSED,
        text_encoder="mov_text",
        texts=frozenset({"mov_text"}),
        options=("-movflags", "+faststart"),
    ),
    ".mov": Container(
        muxer="mov",
        codecs=("h264", "hevc"),
        audio_encoder="aac",
        sounds=_COMPRESSED,
        text_encoder="mov_text",
        texts=frozenset({"mov_text"}),
        options=("-movflags", "+faststart"),
    ),
    ".mkv": Container(
        muxer="matroska",
        codecs=("h264", "hevc", "av1", "vp9"),
        audio_encoder="aac",
        sounds=_COMPRESSED | {"opus", "vorbis", "flac", "alac", "dts", "truehd", "mp2"},
        text_encoder="srt",
        texts=_BITMAPS | {"subrip", "ass"},
    ),
    ".webm": Container(
        muxer="webm",
        codecs=("vp9", "av1"),
        audio_encoder="libopus",
        sounds=frozenset({"opus", "vorbis"}),
        text_encoder="webvtt",
        texts=frozenset({"webvtt"}),
        # The index before the pictures, as fast start is for MP4.
        options=("-cues_to_front", "1"),
    ),
}


def refusal(suffix: str, codec: Codec) -> str | None:
    """Return why this kind of file cannot hold pictures of this codec, with the mend; None if it can."""
    if codec in CONTAINERS[suffix].codecs:
        return None
    codecs = " or ".join(CONTAINERS[suffix].codecs)
    suffixes = " or ".join(one for one, container in CONTAINERS.items() if codec in container.codecs)
    return f"{suffix} cannot hold {codec}: choose codec {codecs}, or an outputPath that ends in {suffixes}"
