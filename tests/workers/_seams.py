"""Attempts of the hls job that die, and what a player finds where another one has gone on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.errors import EncoderError
from workplatform.testing import inline_job

TWO = ({"name": "high", "height": 90}, {"name": "low", "height": 46})
_PACKET = 188


@dataclass(frozen=True)
class Tape:
    """One rendition, segment after segment: times of its packets, decoded pictures, breaks in what is counted."""

    pictures: list[int]
    sounds: list[int]
    decoded: int
    breaks: int


def work(source: Path, *, attempt: int = 1, out: str = "out", **more: Any) -> list[str]:
    """Run an attempt to its end; return its log."""
    with inline_job(source.parent, preload=("workers._hls_making",), attempt=attempt) as run:
        hls(payload_of(source, out, **more), run.job)
    return run.lines


def payload_of(source: Path, out: str = "out", **more: Any) -> HlsPayload:
    """Return what every attempt is asked for."""
    asked = {"inputPath": source.name, "outputDir": out, "qualities": TWO, "passthrough": False, **more}
    return HlsPayload.model_validate(asked)


def die_after(source: Path, groups: int, **more: Any) -> None:
    """Leave what an attempt leaves that is killed after so many groups of segments, and one segment more."""
    with (
        pytest.raises(EncoderError),
        inline_job(source.parent, preload=("workers._hls_making",), is_tried_again=True) as run,
    ):
        hls(payload_of(source, **more), run.job)
        raise EncoderError
    for segment in left_by(source).glob("*/segment_*"):
        number = int(segment.stem.removeprefix("segment_"))
        if number > groups or (number == groups and segment.parent.name == "high"):
            segment.unlink()


def left_by(source: Path) -> Path:
    """Return the folder of an attempt that died."""
    [folder] = [path for path in source.parent.glob(".job_*.kept-*.part") if path.is_dir()]
    return folder


def tapes(folder: Path) -> dict[str, Tape]:
    """Read the renditions of a stream."""
    return {playlist.parent.name: _tape(playlist) for playlist in sorted(folder.glob("*/playlist.m3u8"))}


def _tape(playlist: Path) -> Tape:
    names = [line for line in playlist.read_text().splitlines() if line and not line.startswith("#")]
    init = playlist.parent / "init.mp4"
    whole = (init.read_bytes() if init.exists() else b"") + b"".join(
        (playlist.parent / name).read_bytes() for name in names
    )
    joined = playlist.parent / "joined"
    joined.write_bytes(whole)
    times: dict[str, list[int]] = {"video": [], "audio": []}
    with av.open(str(joined)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                times[packet.stream.type].append(packet.pts)
    with av.open(str(joined)) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    joined.unlink()
    return Tape(times["video"], times["audio"], decoded, 0 if init.exists() else _breaks(whole))


def _breaks(stream: bytes) -> int:
    """Count where the continuity counter of a transport stream does not go on."""
    last: dict[int, int] = {}
    breaks = 0
    for start in range(0, len(stream), _PACKET):
        pid, flags = (stream[start + 1] & 0x1F) << 8 | stream[start + 2], stream[start + 3]
        if flags & 0x10:
            breaks += pid in last and (last[pid] + 1) % 16 != flags % 16
            last[pid] = flags % 16
    return breaks
