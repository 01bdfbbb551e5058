"""The first playable segment of an HLS ladder: the hls job with earlyMaster against one ffmpeg that makes all at once,
by the command people write and the machine's own ffmpeg, and by the job's own command and ffmpeg.

    python -m bench.hls_early [--rounds 3]

A segment counts as playable when it lies at its final place, and a playlist and a master there list it; that of a
rival when its own playlist lists it. All are ended then, and run in turns; ratios are the median of the rounds'.
The CPU of all ffmpeg processes of a whole job is compared once with that of the last of them, which makes all
renditions and is what a job without earlyMaster runs. The film is short: of a longer one, less is made twice.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from bench._table import print_table
from bench.hls import LADDER, RATE, WARM, machines_ffmpeg, payload, place_of, plain_command, warm_up
from workers._ffmpeg import binary
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.errors import Cancelled
from workplatform.testing import inline_job

SECONDS, ONCE = 48, 6
JOB, PLAIN, OWN = "job", "plain split, machine's ffmpeg", "job's command and ffmpeg"
FIRST_AT_MOST, CPU_AT_MOST = {PLAIN: 0.35, OWN: 0.4}, 1.06
LOWEST = list(LADDER)[-1]


def main() -> None:
    """Print a table; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            is_missed = compare(Path(folder), options.rounds)
        finally:
            WARM.close()
    sys.exit(1 if is_missed else 0)


def compare(folder: Path, rounds: int) -> bool:
    """Run the cases in turns and print the table; whether a target was missed."""
    film = folder / "film.mp4"
    make_sample(film)
    own = warm_up(folder)
    cases: dict[str, Callable[[Path], float]] = {
        JOB: first_of_job,
        PLAIN: partial(first_of_ffmpeg, plain_command(film, machines_ffmpeg(), "event")),
        OWN: partial(first_of_ffmpeg, own),
    }
    first_s: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        names = list(cases)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            first_s[name].append(cases[name](place_of(folder, name, number)))
    rows, is_missed = [], False
    for rival, at_most in FIRST_AT_MOST.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(first_s[JOB], first_s[rival], strict=True))
        seconds = [f"{statistics.median(first_s[name]):.2f}" for name in (JOB, rival)]
        rows.append([f"first segment, {rival}", *seconds, f"{ratio:.3f}", f"{at_most:.2f}"])
        is_missed |= ratio > at_most
    early_s, plain_s = cpu_of_job(folder / "whole")
    cpu = early_s / plain_s
    rows.append(["CPU of a job, without the beginning"])
    rows[-1] += [f"{early_s:.2f}", f"{plain_s:.2f}", f"{cpu:.3f}", f"{CPU_AT_MOST:.2f}"]
    print(f"{SECONDS} s of 1080p{RATE}, {rounds} rounds, medians")
    print_table(["figure, case", "earlyMaster s", "case s", "earlyMaster / case", "at most"], rows)
    return is_missed or cpu > CPU_AT_MOST


def make_sample(path: Path) -> None:
    """Make a hard video: moving shapes under noise, the same six seconds again and again."""
    once = path.with_name("once.mp4")
    picture = f"testsrc2=size=1920x1080:rate={RATE}:duration={ONCE},noise=alls=12:allf=t"
    run = [binary(), "-v", "error", "-f", "lavfi", "-i", picture]
    run += ["-f", "lavfi", "-i", f"sine=duration={ONCE}:sample_rate=48000"]
    run += ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "50", "-pix_fmt", "yuv420p"]
    subprocess.run([*run, "-c:a", "aac", "-b:a", "128k", str(once)], check=True, stdin=subprocess.DEVNULL)
    loop = [binary(), "-v", "error", "-stream_loop", str(SECONDS // ONCE - 1), "-i", str(once), "-c", "copy", str(path)]
    subprocess.run(loop, check=True, stdin=subprocess.DEVNULL)


def first_of_job(place: Path) -> float:
    """Return how long the job needs for its first segment, and cancel it then."""
    master, playlist = place / "master.m3u8", place / LOWEST / "playlist.m3u8"
    found: list[float] = []
    with suppress(Cancelled), inline_job(place.parent, children=WARM) as run:

        def look() -> None:
            if not found and master.exists() and "#EXTINF" in read(playlist):
                found.append(time.perf_counter() - started)
                run.pulse.stop(Cancelled())

        started = time.perf_counter()
        with watching(look):
            hls(asked(place), run.job)
    return found[0]


def first_of_ffmpeg(command: list[str], place: Path) -> float:
    """Return how long a command of the whole ladder needs for its first segment, and end it then."""
    for name in LADDER:
        (place / name).mkdir(parents=True)
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    while "#EXTINF" not in read(place / LOWEST / "playlist.m3u8"):
        time.sleep(0.01)
    first_s = time.perf_counter() - started
    process.kill()
    process.wait()
    return first_s


def cpu_of_job(place: Path) -> tuple[float, float]:
    """Return the CPU seconds of all ffmpeg processes of a job, and of the last."""
    with watched_cpu() as cpu, inline_job(place.parent, children=WARM) as run:
        hls(asked(place), run.job)
    return sum(cpu.values()), list(cpu.values())[-1]


def asked(place: Path) -> HlsPayload:
    """Return the job, all of whose renditions are encoded."""
    return payload("film.mp4", place.name, passthrough=False).model_copy(update={"early_master": True})


def read(path: Path) -> str:
    """Return what a playlist says, if there is one."""
    return path.read_text() if path.exists() else ""


@contextmanager
def watched_cpu() -> Iterator[dict[int, float]]:
    """Collect the CPU seconds of every ffmpeg that runs somewhere below this process."""
    figures: dict[int, float] = {}

    def look() -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                if "ffmpeg" in process.name():
                    times = process.cpu_times()
                    figures[process.pid] = max(figures.get(process.pid, 0.0), times.user + times.system)
            except psutil.NoSuchProcess:
                continue

    with watching(look):
        yield figures


@contextmanager
def watching(look: Callable[[], object]) -> Iterator[None]:
    """Look again and again meanwhile."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    main()
