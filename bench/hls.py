"""The HLS ladder 1080/720/480 of a 12 s video: the hls job, with all encoded and with the largest copied, against its
bare command, the command people write (one process, each size scaled from the source), and three ffmpeg runs.

    python -m bench.hls [--rounds 3]

All use the same encoder settings and run in turns, each round in another order; ratios are medians of the rounds' own
ratios. CPU is that of the ffmpeg processes. What people write runs with the machine's own ffmpeg, as theirs would, and
with the job's, which all others use; a machine that has none runs the job's for both.
"""

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import av
import psutil

from bench._children import warm_children
from bench._table import print_table
from workers._ffmpeg import binary
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.testing import inline_job

SECONDS, RATE = 12, 30
LADDER = {"1080p": ((1920, 1080), 5000), "720p": ((1280, 720), 2800), "480p": ((854, 480), 1400)}
WARM = warm_children(hls)
ENCODER = (
    *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p", "-crf", "23"),
    *("-force_key_frames", "expr:gte(t,n_forced*6)", "-g", "1000000", "-keyint_min", "500000"),
    *("-c:a", "aac", "-b:a", "128k", "-ac", "2"),
)
SEGMENTS = ("-f", "hls", "-hls_time", "6", "-hls_list_size", "0")
ALL_ENCODED, COPIED = "hls job", "hls job, 1080p copied"
PLAIN, PLAIN_SAME = "plain split, machine's ffmpeg", "plain split, job's ffmpeg"


@dataclass(frozen=True, slots=True)
class Target:
    """At most so much of a rival's cost."""

    case: str
    rival: str
    cost: Literal["wall", "CPU"]
    at_most: float


TARGETS = (
    Target(ALL_ENCODED, "three runs", "wall", 0.78),
    Target(ALL_ENCODED, "bare command", "wall", 1.03),
    Target(ALL_ENCODED, PLAIN, "CPU", 0.92),
    Target(ALL_ENCODED, PLAIN_SAME, "CPU", 1.0),
    Target(COPIED, PLAIN_SAME, "wall", 0.55),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, in seconds."""

    wall_s: float
    cpu_s: float

    def of(self, kind: Literal["wall", "CPU"]) -> float:
        """Return one of them."""
        return self.wall_s if kind == "wall" else self.cpu_s


Case = Callable[[Path], Cost]


def main() -> None:
    """Print a table; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            missed = compare(Path(folder), options.rounds)
        finally:
            WARM.close()
    sys.exit(1 if missed else 0)


def compare(folder: Path, rounds: int) -> list[Target]:
    """Run the cases in turns and print the tables; return the targets that were missed."""
    source = make_sample(folder / "film.mp4")
    command = warm_up(folder)
    cases: dict[str, Case] = {
        ALL_ENCODED: partial(ours, passthrough=False),
        COPIED: partial(ours, passthrough=True),
        "bare command": bare(command),
        PLAIN: plain_split(source, machines_ffmpeg()),
        PLAIN_SAME: plain_split(source, binary()),
        "three runs": three_runs(source),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for number in range(rounds):
        names = list(cases)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            place = place_of(folder, name, number)
            costs[name].append(cases[name](place))
            check_frames(place, name)
    report(costs, folder, rounds)
    return [target for target in TARGETS if ratio(costs, target) > target.at_most]


def place_of(folder: Path, case: str, number: int) -> Path:
    """Return the folder of a run."""
    return folder / f"{re.sub('[^a-z0-9]+', '-', case)}-{number}"


def make_sample(path: Path) -> Path:
    """Make a hard video: moving shapes under noise, 8 Mbit/s."""
    picture = f"testsrc2=size=1920x1080:rate={RATE}:duration={SECONDS},noise=alls=12:allf=t"
    run = [binary(), "-v", "error", "-f", "lavfi", "-i", picture]
    run += ["-f", "lavfi", "-i", f"sine=duration={SECONDS}:sample_rate=48000"]
    run += ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "60", "-pix_fmt", "yuv420p"]
    subprocess.run([*run, "-c:a", "aac", "-b:a", "128k", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def payload(source: str, output: str, *, passthrough: bool) -> HlsPayload:
    """Return the job: capped constant quality, like its rivals; what may be copied has no cap."""
    qualities = [{"name": name, "crf": 23, "bitrate": f"{rate}k"} for name, (_, rate) in LADDER.items()]
    if passthrough:
        qualities[0] = {"name": "1080p"}
    return HlsPayload.model_validate(
        {"inputPath": source, "outputDir": output, "qualities": qualities, "passthrough": passthrough}
    )


def warm_up(folder: Path) -> list[str]:
    """Run the job once on a cut of the film, so that a child waits as in a worker; return its command for the film."""
    cut = [binary(), "-v", "error", "-i", str(folder / "film.mp4"), "-t", "0.5", "-c", "copy", str(folder / "cut.mp4")]
    subprocess.run(cut, check=True, stdin=subprocess.DEVNULL)
    with inline_job(folder, children=WARM) as run:
        hls(payload("cut.mp4", "warm", passthrough=False), run.job)
    return [word.replace("cut.mp4", "film.mp4") for word in shlex.split(run.lines[0])]


def ours(place: Path, *, passthrough: bool) -> Cost:
    """Run the whole job: probe, encode, measure, publish."""
    with inline_job(place.parent, children=WARM) as run, watched_cpu() as cpu_s:
        started = time.perf_counter()
        result = hls(payload("film.mp4", place.name, passthrough=passthrough), run.job)
        wall_s = time.perf_counter() - started
    if result.renditions[0].is_copied != passthrough:
        sys.exit(f"the 1080p of {place.name} should {'' if passthrough else 'not '}have been copied")
    return Cost(wall_s, cpu_s[-1])


@contextmanager
def watched_cpu() -> Iterator[list[float]]:
    """Collect the CPU seconds of the ffmpeg that runs somewhere below this process; the last figure is the total."""
    figures, over = [0.0], threading.Event()

    def watch() -> None:
        found: psutil.Process | None = None
        while not over.wait(0.05):
            try:
                found = found or next(
                    (p for p in psutil.Process().children(recursive=True) if "ffmpeg" in p.name()), None
                )
                if found is not None:
                    times = found.cpu_times()
                    figures.append(max(figures[-1], times.user + times.system))
            except psutil.NoSuchProcess:
                if len(figures) > 1:
                    return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield figures
    finally:
        over.set()
        watcher.join()


def bare(command: list[str]) -> Case:
    """Return a run of nothing but the job's own ffmpeg command."""

    def run(place: Path) -> Cost:
        for name in LADDER:
            (place / name).mkdir(parents=True)
        return timed(place, command)

    return run


def plain_split(source: Path, ffmpeg: str) -> Case:
    """Return a run of the command people write."""
    command = plain_command(source, ffmpeg)

    def run(place: Path) -> Cost:
        place.mkdir()
        return timed(place, command)

    return run


def plain_command(source: Path, ffmpeg: str, playlist_type: str = "vod") -> list[str]:
    """Return the command people write: every size scaled from the source, the audio encoded for each."""
    names = list(LADDER)
    graph = f"[0:v]split={len(names)}{''.join(f'[s{number}]' for number in range(len(names)))}"
    command = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(source)]
    maps, rates = [], []
    for number, ((width, height), rate) in enumerate(LADDER.values()):
        graph += f";[s{number}]scale={width}:{height}[v{number}]"
        maps += ["-map", f"[v{number}]", "-map", "0:a"]
        rates += [f"-maxrate:v:{number}", f"{rate}k", f"-bufsize:v:{number}", f"{2 * rate}k"]
    command += ["-filter_complex", graph, *maps, *ENCODER, *rates, *SEGMENTS, "-hls_playlist_type", playlist_type]
    streams = " ".join(f"v:{number},a:{number},name:{name}" for number, name in enumerate(names))
    return [*command, "-var_stream_map", streams, "-hls_segment_filename", "%v/segment_%05d.ts", "%v/playlist.m3u8"]


def machines_ffmpeg() -> str:
    """Return what `ffmpeg` is for people who write commands here."""
    return shutil.which("ffmpeg") or binary()


def release(ffmpeg: str) -> str:
    """Return the release of an ffmpeg, as `5.1.9`."""
    told = subprocess.run([ffmpeg, "-version"], check=True, capture_output=True, text=True).stdout
    return told.split()[2].split("-")[0].removeprefix("n")


def three_runs(source: Path) -> Case:
    """Return three runs of ffmpeg, one for each rendition, one after the other."""

    def run(place: Path) -> Cost:
        costs = []
        for name, ((width, height), rate) in LADDER.items():
            (place / name).mkdir(parents=True)
            command = [binary(), "-v", "error", "-nostdin", "-y", "-i", str(source), "-vf", f"scale={width}:{height}"]
            command += [*ENCODER, "-maxrate", f"{rate}k", "-bufsize", f"{2 * rate}k", *SEGMENTS]
            command += ["-hls_playlist_type", "vod", "-hls_segment_filename", f"{name}/segment_%05d.ts"]
            costs.append(timed(place, [*command, f"{name}/playlist.m3u8"]))
        return Cost(sum(cost.wall_s for cost in costs), sum(cost.cpu_s for cost in costs))

    return run


def timed(place: Path, command: list[str]) -> Cost:
    """Run a command to its end."""
    started = time.perf_counter()
    with (place / "ffmpeg.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}: {(place / 'ffmpeg.log').read_text()[-500:]}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime)


def check_frames(place: Path, name: str) -> None:
    """Stop if a rendition lacks a frame: such a time would not count."""
    for rendition in LADDER:
        with av.open(str(place / rendition / "playlist.m3u8")) as container:
            frames = sum(1 for packet in container.demux(video=0) if packet.pts is not None)
        if frames != SECONDS * RATE:
            sys.exit(f"{name} made {frames} frames of {rendition} instead of {SECONDS * RATE}")


def ratio(costs: dict[str, list[Cost]], target: Target) -> float:
    """Return a case's cost in units of its rival's, the median of the rounds."""
    pairs = zip(costs[target.case], costs[target.rival], strict=True)
    return statistics.median(mine.of(target.cost) / theirs.of(target.cost) for mine, theirs in pairs)


def report(costs: dict[str, list[Cost]], folder: Path, rounds: int) -> None:
    """Print medians, and how the job compares."""
    rows = []
    for name, runs in costs.items():
        size = sum(file.stat().st_size for file in place_of(folder, name, 0).glob("*/*.ts"))
        row = [name, f"{statistics.median(run.wall_s for run in runs):.2f}"]
        rows.append([*row, f"{statistics.median(run.cpu_s for run in runs):.2f}", f"{size:,}"])
    releases = f"ffmpeg of the job {release(binary())}, of the machine {release(machines_ffmpeg())}"
    print(f"{SECONDS} s of 1080p{RATE}, {rounds} rounds, medians; {releases}")
    print_table(["case", "wall s", "CPU s", "bytes"], rows)
    ratios = [
        [target.case, target.rival, target.cost, f"{ratio(costs, target):.3f}", f"{target.at_most:.2f}"]
        for target in TARGETS
    ]
    print_table(["case", "against", "in", "ratio", "at most"], ratios)


if __name__ == "__main__":
    main()
