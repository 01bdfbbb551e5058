"""WebP conversion against cwebp: CPU time, bytes and SSIM, at full size and shrunk to 1600 px; and four variants.

CPU time, that of children included, is what one core is kept busy for, whoever else uses the machine.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageChops

from workers._webp import make_webp
from workers.webp import WebpPayload

SIZE = (4000, 3000)
WIDTH = 1600
ROUNDS = 5
WIDTHS = (400, 800, 1200, 1600)
VARIANTS_TARGET = 1.5
TARGETS = {"full": 1.0, "full, fast": 1.9, "1600 px": 1.2, "1600 px, fast": 1.9}


def main() -> None:
    """Print a table; exit 1 if cwebp is missing or a target is missed."""
    cwebp = shutil.which("cwebp")
    if cwebp is None:
        sys.exit("cwebp is not installed: apt install webp")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        missed = compare(Path(folder), cwebp)
    sys.exit(1 if missed else 0)


def compare(folder: Path, cwebp: str) -> list[str]:
    """Run every case against its rival in turn; return the cases that missed their target."""
    photo = folder / "photo.jpg"
    make_photo(photo)
    cases = {
        "full": (rival(cwebp, photo), ours(photo)),
        "full, fast": (rival(cwebp, photo), ours(photo, effort="fast")),
        "1600 px": (rival(cwebp, photo, "-resize", str(WIDTH), "0"), ours(photo, width=WIDTH)),
        "1600 px, fast": (
            rival(cwebp, photo, "-resize", str(WIDTH), "0"),
            ours(photo, width=WIDTH, effort="fast"),
        ),
    }
    ratios: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, (theirs, mine) in cases.items():
            ratios[name].append(seconds(theirs, folder / "theirs.webp") / seconds(mine, folder / "ours.webp"))
    print(f"{'case':<14} {'x cwebp':>8} {'target':>7} {'bytes ours/theirs':>18} {'SSIM ours':>10} {'theirs':>8}")
    for name, (theirs, mine) in cases.items():
        theirs(folder / "theirs.webp")
        mine(folder / "ours.webp")
        sizes = (folder / "ours.webp").stat().st_size / (folder / "theirs.webp").stat().st_size
        likeness = [ssim(photo, folder / f"{who}.webp", folder) for who in ("ours", "theirs")]
        x = statistics.median(ratios[name])
        print(f"{name:<14} {x:>8.2f} {TARGETS[name]:>7.2f} {sizes:>18.3f} {likeness[0]:>10.4f} {likeness[1]:>8.4f}")
    missed = [name for name in cases if statistics.median(ratios[name]) < TARGETS[name]]
    x = statistics.median(variants_ratio(cwebp, photo, folder) for _ in range(ROUNDS))
    print(f"{'four variants':<14} {x:>8.2f} {VARIANTS_TARGET:>7.2f}")
    return missed if x >= VARIANTS_TARGET else [*missed, "four variants"]


def variants_ratio(cwebp: str, photo: Path, folder: Path) -> float:
    """Return how many times the time of one job of four widths four runs of cwebp take."""
    theirs = sum(seconds(rival(cwebp, photo, "-resize", str(width), "0"), folder / "theirs.webp") for width in WIDTHS)
    first, *others = WIDTHS
    variants = [{"width": width, "suffix": f"-{width}"} for width in others]
    fields = {"inputPath": photo.name, "outputPath": "ours.webp", "width": first, "variants": variants}
    payload = WebpPayload.model_validate(fields)
    targets = [folder / f"ours{width}.webp" for width in WIDTHS]
    return theirs / seconds(lambda _: make_webp(photo, targets, payload), folder / "ours.webp")


def make_photo(path: Path) -> None:
    """Draw what a photo is to an encoder: detail at every scale, less of it the finer it is."""
    picture = Image.new("RGB", SIZE, (128, 128, 128))
    for octave in range(9):
        small = (max(2, SIZE[0] >> octave), max(2, SIZE[1] >> octave))
        channels = [
            Image.effect_noise(small, 1.2 * 1.9**octave).resize(SIZE, Image.Resampling.BICUBIC) for _ in range(3)
        ]
        picture = ImageChops.add(picture, Image.merge("RGB", channels), scale=1, offset=-128)
    picture.save(path, quality=92)


def rival(cwebp: str, photo: Path, *options: str) -> Callable[[Path], None]:
    """Return a run of cwebp at the same quality and its default method, 4."""

    def run(target: Path) -> None:
        subprocess.run([cwebp, "-quiet", "-q", "80", *options, str(photo), "-o", str(target)], check=True)

    return run


def ours(photo: Path, **options: object) -> Callable[[Path], None]:
    """Return what a webp job does in its child."""
    payload = WebpPayload.model_validate({"inputPath": photo.name, "outputPath": "out.webp", **options})

    def run(target: Path) -> None:
        make_webp(photo, [target], payload)

    return run


def seconds(run: Callable[[Path], None], target: Path) -> float:
    """Return the CPU time of one run."""
    before = cpu_clock()
    run(target)
    return cpu_clock() - before


def ssim(photo: Path, converted: Path, folder: Path) -> float:
    """Return the likeness to the photo, itself shrunk by Lanczos where the conversion is smaller."""
    made = folder / "made.png"
    wanted = folder / "wanted.png"
    with Image.open(converted) as image, Image.open(photo) as original:
        image.convert("RGB").save(made, compress_level=1)
        original.convert("RGB").resize(image.size, Image.Resampling.LANCZOS).save(wanted, compress_level=1)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(made), "-i", str(wanted), "-lavfi", "ssim", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.search(r"All:([\d.]+)", told)
    if found is None:
        sys.exit(f"ffmpeg told no SSIM: {told[-300:]}")
    return float(found[1])


def cpu_clock() -> float:
    """Return the CPU seconds that this process and its ended children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
