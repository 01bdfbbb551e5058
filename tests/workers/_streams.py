"""Reads HLS streams as a player does, without any code of the handler."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Stream:
    """One rendition, decoded from its playlist to its last frame."""

    times: list[Fraction]
    size: tuple[int, int]
    pixels: set[str]
    first_picture: bytes
    sound: tuple[str, int, int] | None
    sound_s: float
    playlist: str
    segments: list[Path]
    segment_starts: list[tuple[bool, Fraction]]

    @property
    def durations(self) -> list[float]:
        """What the playlist says about each segment."""
        return [float(text) for text in re.findall(r"#EXTINF:([\d.]+),", self.playlist)]

    @property
    def peak_bandwidth(self) -> float:
        """Bits per second of the most demanding segment of a second or more."""
        sizes = [8 * segment.stat().st_size for segment in self.segments]
        return max(bits / s for bits, s in zip(sizes, self.durations, strict=True) if s >= 1)

    @property
    def average_bandwidth(self) -> float:
        """Bits per second of the whole."""
        return sum(8 * segment.stat().st_size for segment in self.segments) / sum(self.durations)


def read_stream(playlist: Path) -> Stream:
    """Decode a rendition."""
    text = playlist.read_text()
    segments = [playlist.parent / line for line in text.splitlines() if line and not line.startswith("#")]
    times, sizes, pixels, first = [], set(), set(), b""
    with av.open(str(playlist)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None and frame.time_base is not None
            times.append(frame.pts * frame.time_base)
            sizes.add((frame.width, frame.height))
            pixels.add(frame.format.name)
            first = first or _thumbnail(frame)
    assert len(sizes) == 1
    sound, sound_s = _sound(playlist)
    starts = [_start(segment) for segment in segments]
    return Stream(times, sizes.pop(), pixels, first, sound, sound_s, text, segments, starts)


def _thumbnail(frame: VideoFrame) -> bytes:
    """Return a grey picture of 8 by 8 pixels, row by row."""
    plane = frame.reformat(width=8, height=8, format="gray").planes[0]
    content = bytes(plane)
    return b"".join(content[row * plane.line_size :][:8] for row in range(8))


def _sound(playlist: Path) -> tuple[tuple[str, int, int] | None, float]:
    with av.open(str(playlist)) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return None, 0.0
        samples = sum(frame.samples for frame in container.decode(stream))
        codec = stream.codec_context
        return (codec.name, codec.channels, codec.sample_rate), samples / codec.sample_rate


def _start(segment: Path) -> tuple[bool, Fraction]:
    """Return whether a segment begins with a keyframe that decodes by itself, and when."""
    is_mp4 = segment.suffix == ".m4s"
    before = segment.with_name("init.mp4").read_bytes() if is_mp4 else b""
    with av.open(BytesIO(before + segment.read_bytes()), "r", format="mp4" if is_mp4 else "mpegts") as container:
        packet = next(container.demux(video=0))
        assert packet.pts is not None and packet.time_base is not None
        return packet.is_keyframe, packet.pts * packet.time_base


def read_master(path: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of each variant by its URI."""
    lines = path.read_text().splitlines()
    assert lines[0] == "#EXTM3U"
    variants = {}
    for line, uri in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            found = re.findall(r'([A-Z-]+)=(?:"([^"]*)"|([^,]*))', line)
            variants[uri] = {key: quoted or bare for key, quoted, bare in found}
    return variants


def read_media(path: Path, kind: str) -> list[dict[str, str]]:
    """Return the attributes of what the master offers of a kind beside the variants."""
    return read_attributes(path, f"#EXT-X-MEDIA:TYPE={kind},")


def read_attributes(path: Path, tag: str) -> list[dict[str, str]]:
    """Return the attributes of each line of the master that begins so."""
    lines = [line for line in path.read_text().splitlines() if line.startswith(tag)]
    found = [re.findall(r'([A-Z-]+)=(?:"([^"]*)"|([^,]*))', line) for line in lines]
    return [{key: quoted or bare for key, quoted, bare in pairs} for pairs in found]


def assert_playable(streams: Iterable[Stream], *, pixels: str = "yuv420p") -> None:
    """Check what every rendition must be, and that players can change between them at each segment."""
    streams = list(streams)
    for stream in streams:
        assert stream.pixels == {pixels}
        assert stream.times == sorted(set(stream.times)), "presentation times rise"
        assert all(is_keyframe for is_keyframe, _ in stream.segment_starts)
        assert stream.sound is None or (stream.sound[:2] == ("aac", 2) and stream.sound[2] in (44_100, 48_000))
        _assert_playlist(stream)
        assert stream.times == streams[0].times, "all renditions show the same frames"
        assert stream.segment_starts == streams[0].segment_starts, "all renditions are cut at the same moments"


def _assert_playlist(stream: Stream) -> None:
    lines = stream.playlist.splitlines()
    assert lines[0] == "#EXTM3U" and lines[-1] == "#EXT-X-ENDLIST"
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in lines
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    version = re.search(r"#EXT-X-VERSION:(\d+)", stream.playlist)
    assert version and int(version[1]) >= 3, "decimal EXTINF needs version 3"
    target = re.search(r"#EXT-X-TARGETDURATION:(\d+)", stream.playlist)
    assert target and int(target[1]) >= max(1, *(round(duration) for duration in stream.durations))
    assert len(stream.durations) == len(stream.segments) == len(set(stream.segments))
