"""The whole platform as a user meets it: time to the first job, idle memory, thumbnails a second over HTTP.

    python -m bench.platform [--thumbnails 60] [--rounds 3]

Thumbnails: an array of jobs submitted to a running `up`, from the request to the last completed job, against spawning
ffmpeg for each with as many at a time as the queue has workers. Rounds alternate; ratios are medians of the rounds'.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import requests

from bench._servers import free_port
from bench._table import print_table
from bench.thumbnails import SECONDS, TARGETS, make_video

AT_ONCE = 3
MOST_MB = 350
MOST_START_S = 6.0


def main() -> None:
    """Run the bench and print its tables; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thumbnails", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ffmpeg = shutil.which("ffmpeg") or sys.exit("ffmpeg, the rival, is not installed")
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        make_video(film, "1920x1080")
        with _up(Path(folder)) as (url, pid, started):
            _first_job(url)
            start_s = time.monotonic() - started
            after_mb = _pss_mb(pid)
            rows = [_race(url, str(ffmpeg), film, accuracy, options) for accuracy in TARGETS]
        with _up(Path(folder)) as (url, pid, _):
            _wait_ready(url)
            idle_mb = _pss_mb(pid)
    print_table(["thumbnails", "ours/s", "ffmpeg/s", "x", "target"], rows)
    print(f"\nfrom `up` to the first completed job: {start_s:.1f} s (at most {MOST_START_S:g})")
    print(f"memory of all processes, PSS: {idle_mb:.0f} MB (at most {MOST_MB}), {after_mb:.0f} MB after a job")
    missed = start_s > MOST_START_S or idle_mb > MOST_MB or any(float(row[3]) < float(row[4]) for row in rows)
    sys.exit(1 if missed else 0)


@contextmanager
def _up(folder: Path) -> Iterator[tuple[str, int, float]]:
    port = free_port()
    env = os.environ | {"PORT": str(port), "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "warning"}
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "workplatform", "up"], cwd=folder, env=env)
    try:
        yield f"http://127.0.0.1:{port}/api/jobs", process.pid, started
    finally:
        process.terminate()
        process.wait(60)


def _first_job(url: str) -> None:
    document = {"type": "thumbnail", "payload": {"videoPath": "film.mp4", "outputPath": "first.webp"}}
    while True:
        try:
            answer = requests.post(url, json=document, timeout=10)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    answer.raise_for_status()
    _wait(url, 1)


def _wait_ready(url: str) -> None:
    """Wait until every queue has its worker."""
    while True:
        with suppress(requests.ConnectionError):
            if requests.get(url.replace("/api/jobs", "/readyz"), timeout=10).ok:
                return
        time.sleep(0.05)


def _wait(url: str, jobs: int) -> None:
    """Wait until that many thumbnails are completed in all; a listing's total costs next to nothing."""
    while True:
        page = requests.get(url, params={"type": "thumbnail", "status": "completed", "limit": 1}, timeout=10).json()
        if page["failed"]:
            sys.exit("a job failed: workplatform jobs --status failed")
        if page["total"] >= jobs:
            return
        time.sleep(0.05)


def _completed(url: str) -> int:
    params = {"type": "thumbnail", "status": "completed", "limit": 1}
    return int(requests.get(url, params=params, timeout=10).json()["total"])


def _pss_mb(pid: int) -> float:
    everyone = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_full_info().pss for process in everyone) / 1e6


def _race(url: str, ffmpeg: str, film: Path, accuracy: str, options: argparse.Namespace) -> list[str]:
    draw = random.Random(1)
    ours, theirs = [], []
    for _ in range(options.rounds):
        moments = [round(draw.uniform(0, SECONDS - 1), 2) for _ in range(options.thumbnails)]
        ours.append(options.thumbnails / _ours(url, film, accuracy, moments))
        theirs.append(options.thumbnails / _theirs(ffmpeg, film, accuracy, moments))
    x = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    rates = (f"{statistics.median(ours):.1f}", f"{statistics.median(theirs):.1f}")
    return [accuracy, *rates, f"{x:.2f}", f"{TARGETS[accuracy]:.1f}"]


def _ours(url: str, film: Path, accuracy: str, moments: list[float]) -> float:
    documents = [
        {
            "type": "thumbnail",
            "payload": {
                "videoPath": film.name,
                "outputPath": f"ours/{accuracy}-{number}.webp",
                "timestamp": moment,
                "width": 320,
                "accuracy": accuracy,
            },
        }
        for number, moment in enumerate(moments)
    ]
    before = _completed(url)
    started = time.perf_counter()
    requests.post(url, json=documents, timeout=30).raise_for_status()
    _wait(url, before + len(documents))
    return time.perf_counter() - started


def _theirs(ffmpeg: str, film: Path, accuracy: str, moments: list[float]) -> float:
    folder = film.parent / "theirs"
    folder.mkdir(exist_ok=True)
    keyframe = ("-skip_frame", "nokey", "-noaccurate_seek") if accuracy == "keyframe" else ()

    def grab(number: int, moment: float) -> None:
        source = (*keyframe, "-ss", str(moment), "-i", str(film))
        target = ("-frames:v", "1", "-vf", "scale=320:-2", "-c:v", "libwebp", "-quality", "80")
        subprocess.run(
            [ffmpeg, "-v", "error", "-y", *source, *target, str(folder / f"{number}.webp")],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(grab, range(len(moments)), moments))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
