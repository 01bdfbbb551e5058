"""Encoding a video: the encode job against the plain ffmpeg command, and sizes and VMAF against what was asked for.

    python -m bench.encode [--rounds 3]

Job and command use the same ffmpeg, preset and quality, and take turns; ratios are medians of the rounds' own ratios.
CPU is that of the ffmpeg processes. VMAF is measured again by a command of this script, over every frame.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench._children import warm_children
from bench._table import print_table
from bench.hls import watched_cpu
from workers._encode_models import EncodePayload
from workers._ffmpeg import binary
from workers.encode import encode
from workplatform.children import ChildPool
from workplatform.testing import inline_job

SECONDS, RATE = 6, 30
AT_MOST = 1.03
# Shares of the size asked for, and points of VMAF.
SMALLEST, FARTHEST = 0.95, 1.5
SIZES = [("h264", ".mp4"), ("hevc", ".mp4"), ("av1", ".mp4"), ("vp9", ".webm")]
TARGET_BYTES = 700_000
QUALITIES = [("h264", 80), ("h264", 93)]


def main() -> None:
    """Print tables; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pool = warm_children(encode)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            make_samples(folder)
            good = [compare(folder, pool, options.rounds), hit_sizes(folder, pool), hit_qualities(folder, pool)]
        finally:
            pool.close()
    sys.exit(0 if all(good) else 1)


def make_samples(folder: Path) -> None:
    """Make a video of moving shapes under noise, and a small one of scenes that differ."""
    make(folder / "film.mp4", f"testsrc2=size=1280x720:rate={RATE}:duration={SECONDS},noise=alls=10:allf=t")
    scenes = [f"testsrc2=size=640x360:rate=25:duration=4,noise=alls={noise}:allf=t" for noise in (2, 20)]
    scenes.append("mandelbrot=size=640x360:rate=25,trim=duration=4,setsar=1,format=yuv420p")
    graph = ";".join(f"{scene}[s{number}]" for number, scene in enumerate(scenes))
    make(folder / "scenes.mp4", f"{graph};[s0][s1][s2]concat=n=3")


def make(path: Path, picture: str) -> None:
    """Make a video with a tone, of high quality."""
    run = [binary(), "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    run += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "14", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"]
    subprocess.run([*run, str(path)], check=True, stdin=subprocess.DEVNULL)


def job(folder: Path, pool: ChildPool, **payload: Any) -> dict[str, Any]:
    """Run an encode job; return its result."""
    with inline_job(folder, children=pool) as run:
        result = encode(EncodePayload.model_validate(payload), run.job)
    return result.model_dump(mode="json", by_alias=True)


def compare(folder: Path, pool: ChildPool, rounds: int) -> bool:
    """Encode the same by the job and by the command; print wall and CPU time."""
    plain = [binary(), "-v", "error", "-nostdin", "-y", "-i", "film.mp4", "-c:v", "libx264", "-preset", "veryfast"]
    plain += ["-crf", "23", "-pix_fmt", "yuv420p", "-c:a", "copy", "-movflags", "+faststart", "plain.mp4"]
    asked = {"inputPath": "film.mp4", "outputPath": "job.mp4", "preset": "veryfast"}
    cases: dict[str, Callable[[], object]] = {
        "encode job": lambda: job(folder, pool, **asked),
        "plain ffmpeg": lambda: subprocess.run(plain, cwd=folder, check=True),
    }
    job(folder, pool, inputPath="scenes.mp4", outputPath="warm.mp4", preset="ultrafast", trim={"end": 1})
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in list(cases) if number % 2 else reversed(cases):
            costs[name].append(timed(cases[name]))
    ours, theirs = costs["encode job"], costs["plain ffmpeg"]
    wall, cpu = (statistics.median(a[i] / b[i] for a, b in zip(ours, theirs, strict=True)) for i in (0, 1))
    rows = [[name, *(f"{statistics.median(one[i] for one in costs[name]):.2f}" for i in (0, 1))] for name in cases]
    print(f"{SECONDS} s of 720p{RATE}, {rounds} rounds, medians; job / plain: wall {wall:.3f}, CPU {cpu:.3f}")
    print_table(["case", "wall s", "CPU s"], rows)
    return wall <= AT_MOST and cpu <= AT_MOST


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the wall seconds of a run and the CPU seconds of its ffmpeg."""
    with watched_cpu() as cpu_s:
        started = time.perf_counter()
        run()
        wall_s = time.perf_counter() - started
    return wall_s, cpu_s[-1]


def hit_sizes(folder: Path, pool: ChildPool) -> bool:
    """Ask each codec for a size; print what came out."""
    rows, good = [], True
    for codec, suffix in SIZES:
        asked = {"outputPath": f"size{suffix}", "codec": codec, "targetSize": TARGET_BYTES, "preset": "veryfast"}
        share = job(folder, pool, inputPath="scenes.mp4", **asked)["size"] / TARGET_BYTES
        good = good and SMALLEST <= share <= 1
        rows.append([codec, f"{TARGET_BYTES:,}", f"{share:.4f}", f"{SMALLEST} to 1"])
    print_table(["codec", "bytes asked for", "made / asked", "wanted"], rows)
    return good


def hit_qualities(folder: Path, pool: ChildPool) -> bool:
    """Ask for VMAF; print what the job told and what every frame says."""
    rows, good = [], True
    for codec, target in QUALITIES:
        asked = {"outputPath": "eye.mp4", "codec": codec, "targetQuality": target, "preset": "veryfast"}
        told = job(folder, pool, inputPath="scenes.mp4", **asked)
        measured = vmaf(folder)
        good = good and abs(measured - target) <= FARTHEST
        rows.append([codec, str(target), f"{told['crf']:g}", f"{told['vmaf']:.2f}", f"{measured:.2f}", f"{FARTHEST}"])
    print_table(["codec", "VMAF asked for", "crf", "told", "measured", "at most off by"], rows)
    return good


def vmaf(folder: Path) -> float:
    """Return the VMAF of the file over every frame."""
    graph = f"[0:v][1:v]libvmaf=log_fmt=json:log_path=vmaf.json:n_threads={os.cpu_count()}"
    run = [binary(), "-v", "error", "-nostdin", "-i", "eye.mp4", "-i", "scenes.mp4", "-lavfi", graph, "-f", "null", "-"]
    subprocess.run(run, cwd=folder, check=True)
    return float(json.loads((folder / "vmaf.json").read_bytes())["pooled_metrics"]["vmaf"]["mean"])


if __name__ == "__main__":
    main()
