"""Ways to break an HLS folder."""

import re
from collections.abc import Callable
from pathlib import Path

from workplatform.hls_check import Finding, Report, check

Break = Callable[[Path], object]
HIGH, LOW, SOUND, TEXT = (f"{name}/playlist.m3u8" for name in ("high", "low", "sound", "text"))
MASTER, IFRAMES, ONLY = "master.m3u8", "high/iframes.m3u8", "only/playlist.m3u8"
FIRST, SECOND, LAST = (f"high/segment_{number:05}.ts" for number in range(3))


def edit(name: str, pattern: str, replacement: str, *, count: int = 1) -> Break:
    """Replace what a pattern finds in a playlist; it has to be there."""

    def change(folder: Path) -> None:
        text, changes = re.subn(pattern, replacement, (folder / name).read_text(), count=count, flags=re.MULTILINE)
        assert changes, f"{pattern} is not in {name}"
        (folder / name).write_text(text)

    return change


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Break:
    """Change a file's bytes."""

    def write(folder: Path) -> None:
        before = (folder / name).read_bytes()
        after = change(before)
        assert after != before
        (folder / name).write_bytes(after)

    return write


def copy(source: str, target: str) -> Break:
    """Put one file in the place of another."""
    return lambda folder: (folder / target).write_bytes((folder / source).read_bytes())


def swap(one: str, other: str) -> Break:
    """Exchange two files."""

    def exchange(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return exchange


def all_of(*breaks: Break) -> Break:
    """Break in several ways."""

    def change(folder: Path) -> None:
        for one in breaks:
            one(folder)

    return change


def rules(report: Report) -> set[str]:
    """Return the names of the rules that are broken."""
    return {finding.rule for finding in report.findings}


def found(folder: Path, rule: str) -> Finding:
    """Check a folder and return the finding of a rule."""
    report = check(folder)
    return next(finding for finding in report.findings if finding.rule == rule)
