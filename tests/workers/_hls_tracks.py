"""Runs the hls job on videos with several sounds and subtitles, and reads what it made as a player does."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from tests.workers._webvtt import Shown, read_webvtt
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.testing import inline_job

LOW = {"name": "low", "height": 46, "audioBitrate": "48k"}


@dataclass(frozen=True)
class Made:
    """What a job made and said."""

    folder: Path
    result: dict[str, Any]
    log: list[str]


def make(source: Path, *, folder: str = "out", qualities: Any = (LOW,), **more: Any) -> Made:
    payload = {"inputPath": source.name, "outputDir": folder, "qualities": qualities, **more}
    with inline_job(source.parent, preload=("workers._hls_making",)) as run:
        result = hls(HlsPayload.model_validate(payload), run.job)
    return Made(source.parent / folder, result.model_dump(mode="json", by_alias=True), run.lines)


def first_pts_s(folder: Path) -> float:
    """Return the first moment of a rendition's clock."""
    with av.open(str(folder / "segment_00000.ts")) as container:
        return float(min(packet.pts * packet.time_base for packet in container.demux() if packet.pts is not None))


def durations(playlist: Path) -> list[float]:
    """Return what a playlist says about each segment."""
    return list(map(float, re.findall(r"#EXTINF:([\d.]+)", playlist.read_text())))


def heard(playlist: Path) -> tuple[float, float]:
    """Return the pitch (hertz) of a rendition's sound in its first seconds, and how long all of it is (seconds)."""
    crossings, counted, samples_in_all, rate = 0, 0, 0, 1
    with av.open(str(playlist)) as container:
        for frame in container.decode(audio=0):
            samples_in_all, rate = samples_in_all + frame.samples, frame.sample_rate
            if samples_in_all < 5 * rate:
                wave = memoryview(frame.planes[0]).cast("f")[: frame.samples]
                crossings += sum(1 for a, b in pairwise(wave) if a < 0 <= b)
                counted += frame.samples
    return crossings * rate / counted, samples_in_all / rate


def cues_of(folder: Path) -> list[list[Shown]]:
    """Return the cues of each segment of a subtitle rendition."""
    names = [line for line in (folder / "playlist.m3u8").read_text().splitlines() if not line.startswith("#")]
    found = [read_webvtt(folder / name) for name in names]
    assert {clock for clock, _ in found} == {900_000}, "zero is where the picture's clock says 10 s"
    return [cues for _, cues in found]
