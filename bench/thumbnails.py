"""Thumbnails in-process against spawning ffmpeg for each: CPU time on one core, one by one and ten at once.

CPU time, that of children included, is what one core is kept busy for, whoever else uses the machine.
"""

import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import imageio_ffmpeg

from workers._thumbnails import make_thumbnails
from workers.thumbnail import ThumbnailPayload

ROUNDS = 7
SECONDS = 20
SIZES = {"1080p": "1920x1080", "720p": "1280x720"}
TARGETS = {"exact": 1.8, "keyframe": 5.0}
AT_ONCE, AT_ONCE_ROUNDS, AT_ONCE_TARGET = 10, 3, 3.0
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p")


def main() -> None:
    """Print a table; exit 1 if the rival is missing or a target is missed."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        sys.exit("ffmpeg is not installed: apt install ffmpeg (the wheel's own is the second rival)")
    rivals = {"ffmpeg": ffmpeg, "wheel's ffmpeg": imageio_ffmpeg.get_ffmpeg_exe()}
    missed = False
    print(f"{'video':<6} {'accuracy':<9} {'rival':<15} {'ours ms':>8} {'theirs ms':>10} {'x':>6} {'target':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            video = Path(folder) / f"{name}.mp4"
            make_video(video, size)
            for accuracy, target in TARGETS.items():
                for rival, times in compare(video, accuracy, rivals).items():
                    x = statistics.median(theirs / ours for ours, theirs in times)
                    ours_ms, theirs_ms = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
                    wanted = f"{target:.1f}" if rival == "ffmpeg" else ""
                    print(
                        f"{name:<6} {accuracy:<9} {rival:<15} {ours_ms:>8.0f} {theirs_ms:>10.0f} {x:>6.2f} {wanted:>7}"
                    )
                    missed = missed or (rival == "ffmpeg" and x < target)
            missed = at_once(video, name, ffmpeg) or missed
    sys.exit(1 if missed else 0)


def make_video(path: Path, size: str) -> None:
    """Encode a moving, slightly noisy picture as common encoders do: B-frames, a keyframe every ten seconds."""
    source = f"testsrc2=size={size}:rate=30:duration={SECONDS}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    subprocess.run([*command, "-vf", "noise=alls=8:allf=t", *X264, "-g", "250", str(path)], check=True)


def compare(video: Path, accuracy: str, rivals: dict[str, str]) -> dict[str, list[tuple[float, float]]]:
    """Take the same random moments by every way in turn; return seconds of ours and of each rival per round."""
    moments = random.Random(3)
    times: dict[str, list[tuple[float, float]]] = {rival: [] for rival in rivals}
    ours(video, accuracy, "1")
    for _ in range(ROUNDS):
        moment = f"{moments.uniform(0.5, SECONDS - 0.5):.3f}"
        mine = cpu_seconds(partial(ours, video, accuracy, moment))
        for rival, program in rivals.items():
            spawned = cpu_seconds(partial(theirs, program, video, accuracy, moment))
            times[rival].append((mine, spawned))
    return times


def at_once(video: Path, name: str, ffmpeg: str) -> bool:
    """Take ten exact pictures by one job, by ten jobs and by ten ffmpegs; return whether the target is missed."""
    moments = random.Random(5)
    ratios: dict[str, list[float]] = {"ten jobs": [], "ffmpeg": []}
    for _ in range(AT_ONCE_ROUNDS):
        asked = [f"{moments.uniform(0.5, SECONDS - 0.5):.3f}" for _ in range(AT_ONCE)]
        together = cpu_seconds(partial(several, video, asked))
        ratios["ten jobs"].append(sum(cpu_seconds(partial(ours, video, "exact", one)) for one in asked) / together)
        ratios["ffmpeg"].append(
            sum(cpu_seconds(partial(theirs, ffmpeg, video, "exact", one)) for one in asked) / together
        )
    for rival, found in ratios.items():
        wanted = f"{AT_ONCE_TARGET:.1f}" if rival == "ffmpeg" else ""
        print(f"{name:<6} {'10 exact':<9} {rival:<15} {'':>8} {'':>10} {statistics.median(found):>6.2f} {wanted:>7}")
    return statistics.median(ratios["ffmpeg"]) < AT_ONCE_TARGET


def several(video: Path, moments: Sequence[str]) -> None:
    """Do what a job of several thumbnails does in its child."""
    fields = {"videoPath": video.name, "outputPath": "{n}.webp", "width": 320, "timestamps": moments}
    targets = [video.with_name(f"ours{number}.webp") for number in range(len(moments))]
    list(make_thumbnails(video, targets, ThumbnailPayload.model_validate(fields)))


def ours(video: Path, accuracy: str, moment: str) -> None:
    """Do what a thumbnail job does in its child."""
    fields = {"videoPath": video.name, "outputPath": "a.webp", "width": 320, "timestamp": moment, "accuracy": accuracy}
    list(make_thumbnails(video, [video.with_name("ours.webp")], ThumbnailPayload.model_validate(fields)))


def theirs(program: str, video: Path, accuracy: str, moment: str) -> None:
    """Spawn ffmpeg; for keyframes with the options that do find the last one up to the moment."""
    seeking = ["-skip_frame", "nokey", "-noaccurate_seek"] if accuracy == "keyframe" else []
    output = ["-frames:v", "1", "-vf", "scale=320:-2", "-c:v", "libwebp", "-quality", "80"]
    command = [program, "-v", "error", "-y", *seeking, "-ss", moment, "-i", str(video), *output]
    subprocess.run([*command, str(video.with_name("theirs.webp"))], check=True)


def cpu_seconds(run: Callable[[], None]) -> float:
    """Return the CPU time of one run."""
    before = cpu_clock()
    run()
    return cpu_clock() - before


def cpu_clock() -> float:
    """Return the CPU seconds that this process and its ended children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
