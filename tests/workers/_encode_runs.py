"""Runs the encode job on real files, and reads what it wrote without any code of the handler."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from workers._encode_models import EncodePayload
from workers.encode import encode
from workplatform.testing import inline_job


@dataclass(frozen=True)
class Encoded:
    """A finished job: its result on the wire, its log, what it told, and what is in the file."""

    result: dict[str, Any]
    log: list[str]
    told: list[tuple[float, str, str]]
    path: Path
    times: list[Fraction]
    size: tuple[int, int]
    pixels: str
    codec: str
    transfer: int
    sounds: list[tuple[str, int, str]]
    sound_s: float
    texts: list[tuple[str, str]]
    metadata: dict[str, str]

    @property
    def command(self) -> str:
        """The last ffmpeg command."""
        return [line for line in self.log if " -progress " in line][-1]


def make(source: Path, output: str = "out.mp4", **payload: Any) -> Encoded:
    """Run the job on a file, by default as fast as can be, and decode what it wrote to its end."""
    root = source.parent
    document = {"inputPath": source.name, "outputPath": output, "preset": "ultrafast", **payload}
    with inline_job(root, preload=("workers._encode_making",)) as run:
        made = encode(EncodePayload.model_validate(document), run.job)
    result = made.model_dump(mode="json", by_alias=True)
    path = root / output
    encoded = Encoded(result, run.lines, run.told, path, *_read(path))
    assert result["size"] == path.stat().st_size
    assert result["savedBytes"] == source.stat().st_size - result["size"]
    assert result["frames"] == len(encoded.times), "the frames told are those of the file"
    assert (result["width"], result["height"]) == encoded.size
    assert encoded.times == sorted(set(encoded.times)), "presentation times rise"
    return encoded


def _read(path: Path) -> tuple[Any, ...]:
    times, sizes, transfer, pixels = [], set(), 2, ""
    with opened(path) as container:
        codec = container.streams.video[0].codec_context.name
        for frame in container.decode(video=0):
            assert frame.pts is not None and frame.time_base is not None
            times.append(frame.pts * frame.time_base)
            sizes.add((frame.width, frame.height))
            pixels, transfer = frame.format.name, int(frame.color_trc)
            assert frame.rotation == 0 and not frame.interlaced_frame
    assert len(sizes) == 1
    with opened(path) as container:
        sounds = [
            (stream.codec_context.name, stream.codec_context.channels, stream.metadata.get("language", ""))
            for stream in container.streams.audio
        ]
        texts = [
            (stream.codec_context.name, stream.metadata.get("language", "")) for stream in container.streams.subtitles
        ]
        metadata = dict(container.metadata)
    return times, sizes.pop(), pixels, codec, transfer, sounds, _sound_s(path), texts, metadata


def _sound_s(path: Path) -> float:
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return 0.0
        return sum(frame.samples for frame in container.decode(stream)) / stream.codec_context.sample_rate


def lines_of(path: Path) -> list[str]:
    """Return the text of the first subtitles of a file."""
    with opened(path) as container:
        stream = container.streams.subtitles[0]
        assert isinstance(stream, SubtitleStream)
        subtitles = [subtitle for packet in container.demux(stream) for subtitle in packet.decode()]
    return [subtitle.dialogue.decode() for subtitle in subtitles if isinstance(subtitle, AssSubtitle)]


@contextmanager
def opened(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a file for reading."""
    with av.open(f"file:{path}") as container:
        yield container
