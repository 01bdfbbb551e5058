"""The storyboard of a film of ten minutes: the storyboard job's work against the usual ffmpeg command.

    python -m bench.storyboard [--rounds 1] [--size 1280x720]

Both make 60 pictures of 160 pixels on one sheet. The film has keyframes where x264 puts them (-g 250). The runs take
turns, each round in another order. CPU time is that of the children; ffmpeg with -skip_frame nokey, which few know of
and which shows the wrong pictures where keyframes are rare, is there for comparison.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench._table import print_table
from workers._ffmpeg import binary
from workers._storyboards import make_storyboard
from workers.storyboard import StoryboardPayload

SCENES, SCENE_S, REPEATED = 10, 4, 15
TARGET = 5.0
USUAL, KEYFRAMES = "ffmpeg fps=1/10", "ffmpeg -skip_frame nokey"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, in seconds."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Print a table; exit 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--size", default="1280x720")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = make_film(Path(folder), options.size)
        costs = compare(film, options.rounds)
    report(costs, options.rounds, options.size)
    sys.exit(1 if ratio(costs, USUAL, "wall_s") < TARGET else 0)


def make_film(folder: Path, size: str) -> Path:
    """Make ten minutes of changing scenes: forty seconds are encoded, and repeated."""
    scenes = "".join(
        f"testsrc2=size={size}:rate=30:duration={SCENE_S},hue=h={36 * number},setsar=1[s{number}];"
        for number in range(SCENES)
    )
    graph = scenes + "".join(f"[s{number}]" for number in range(SCENES)) + f"concat=n={SCENES}"
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-bf", "3", "-pix_fmt", "yuv420p"]
    run([binary(), "-v", "error", "-filter_complex", graph, *encoder, folder / "part.mp4"])
    film = folder / "film.mp4"
    again = ["-stream_loop", REPEATED - 1, "-i", folder / "part.mp4", "-c", "copy", "-movflags", "+faststart"]
    run([binary(), "-v", "error", *again, film])
    return film


def compare(film: Path, rounds: int) -> dict[str, list[Cost]]:
    """Run the cases in turns."""
    cases: dict[str, Callable[[], object]] = {
        "storyboard": lambda: ours(film),
        USUAL: lambda: theirs(film, []),
        KEYFRAMES: lambda: theirs(film, ["-skip_frame", "nokey"]),
    }
    ours(film)
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for number in range(rounds):
        names = list(cases)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            costs[name].append(timed(cases[name]))
    return costs


def ours(film: Path) -> None:
    """Do what a storyboard job does in its child."""
    folder = film.with_name("ours")
    folder.mkdir(exist_ok=True)
    payload = StoryboardPayload(video_path=film.name, output_dir="ours", interval=10)
    steps = list(make_storyboard(film, folder, payload))
    if len(steps) != SCENES * SCENE_S * REPEATED // 10:
        sys.exit(f"the storyboard has {len(steps)} pictures")


def theirs(film: Path, options: list[str]) -> None:
    """Run ffmpeg as it is usually told to."""
    sheet = film.with_name("theirs.jpg")
    filters = ["-vf", "fps=1/10,scale=160:-2,tile=10x10"]
    run([binary(), "-v", "error", "-nostdin", "-y", *options, "-i", film, *filters, "-frames:v", 1, sheet])
    with Image.open(sheet) as picture:
        if picture.width != 1600:
            sys.exit(f"ffmpeg made a sheet of {picture.size}")


def timed(case: Callable[[], object]) -> Cost:
    """Run one case."""
    before, started = os.times(), time.perf_counter()
    case()
    wall_s, after = time.perf_counter() - started, os.times()
    return Cost(wall_s, sum(after[:4]) - sum(before[:4]))


def run(command: list[object]) -> None:
    """Run a program to its end."""
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)


def ratio(costs: dict[str, list[Cost]], rival: str, field: str) -> float:
    """Return how many times as long the rival takes, the median of the rounds."""
    pairs = zip(costs["storyboard"], costs[rival], strict=True)
    return statistics.median(getattr(theirs, field) / getattr(mine, field) for mine, theirs in pairs)


def report(costs: dict[str, list[Cost]], rounds: int, size: str) -> None:
    """Print medians, and how the job compares."""
    rows = []
    for name, runs in costs.items():
        row = [
            name,
            *(f"{statistics.median(getattr(one, field) for one in runs):.2f}" for field in ("wall_s", "cpu_s")),
        ]
        is_rival = name != "storyboard"
        row += [f"{ratio(costs, name, field):.1f}" if is_rival else "" for field in ("wall_s", "cpu_s")]
        rows.append([*row, f"{TARGET:.1f}" if name == USUAL else ""])
    print(f"10 min of {size}, 30 pictures a second; {rounds} rounds, medians")
    print_table(["case", "wall s", "CPU s", "wall x", "CPU x", "at least"], rows)


if __name__ == "__main__":
    main()
