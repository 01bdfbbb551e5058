"""Taking complete segments from where ffmpeg writes them to where they stay, while it still writes others."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from workers import _hls_counters
from workers._hls_moments import compare
from workers._hls_playlist import INIT, MEDIA_PLAYLIST
from workers._hls_resume import Groups, Seam
from workers._hls_wholeness import is_whole, unwritten
from workplatform.context import JobContext
from workplatform.errors import EncoderError

# A folder in the output, so that segments are renamed and not copied; it is gone before the output is visible.
_MAKING: Final = ".making"
_ENTRY = re.compile(r"#EXTINF:(\d+(?:\.\d+)?),[^\n]*\n(?:#[^\n]*\n)*([^#\n]+)\n")
_END: Final = "#EXT-X-ENDLIST"

OnSegments = Callable[[str, Sequence[int]], None]


class SeamError(Exception):
    """What was encoded again does not fit what is there."""


class Intake:
    """Takes the segments of one run of ffmpeg, each as soon as the run's own playlist lists it.

    With a `seam` the first group is made again: SeamError is raised unless it is as it was, and it is not taken.
    `on_segments` is told a rendition and the numbers of what a look has taken; `at_most` so many are taken of each.
    """

    def __init__(
        self,
        job: JobContext,
        groups: Groups,
        names: Sequence[str],
        *,
        seam: Seam | None,
        on_segments: OnSegments,
        at_most: int | None = None,
    ) -> None:
        self._job = job
        self._groups = groups
        self._seam = seam
        self._first = seam.group - 1 if seam else 0
        self._on_segments = on_segments
        self._at_most = at_most
        self.names = list(names)
        self._taken = dict.fromkeys(names, 0)
        self._shifts: dict[str, Mapping[int, int]] = {}
        self.pictures_again = 0
        self.is_open = seam is None
        self.folder = groups.folder / _MAKING
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in names:
            (self.folder / name).mkdir(parents=True)

    def look(self, *, is_over: bool = False) -> None:
        """Take what was completed since the last look; `is_over` says that the run has ended well.

        Raises NoSpaceError or EncoderError for what ffmpeg could not write.
        """
        listed = {name: self._listed(name, is_over=is_over) for name in self._taken}
        if not self.is_open and all(listed.values()):
            self._compare({name: self.folder / name / segments[0][0] for name, segments in listed.items()})
        if self.is_open:
            for name, segments in listed.items():
                self._take_all(name, segments[self._taken[name] : self._at_most])
        if is_over:
            shutil.rmtree(self.folder)
            if not self.is_open:
                raise SeamError("nothing was encoded there")

    def _listed(self, name: str, *, is_over: bool) -> list[tuple[str, float]]:
        """Return the complete segments, by their files in the rendition's folder, and their lengths.

        A run that was ended from outside, or was for less than all, lists half of one too, at the very end.
        """
        try:
            text = (self.folder / name / MEDIA_PLAYLIST).read_text("utf-8")
        except FileNotFoundError:
            return []
        if is_over and _END not in text:
            raise unwritten(self.folder, f"the playlist of {name}")
        entries = [(file.rpartition("/")[2], float(duration_s)) for duration_s, file in _ENTRY.findall(text)]
        is_complete = is_over and self._at_most is None
        return entries[:-1] if _END in text and not is_complete else entries

    def _compare(self, again: Mapping[str, Path]) -> None:
        pairs = [(self._groups.segment(name, self._first), path) for name, path in again.items()]
        try:
            same = self._job.isolated(compare, pairs)
        except EncoderError as error:
            raise SeamError(error.message) from error
        if same is None:
            raise SeamError("the same group has other times")
        self.pictures_again = same
        self.is_open = True

    def _take_all(self, name: str, segments: Sequence[tuple[str, float]]) -> None:
        """Take segments that are not taken yet, in their order; what was only made again stays away."""
        taken = []
        for file, duration_s in segments:
            number = self._first + self._taken[name]
            self._taken[name] += 1
            if self._seam is None or number >= self._seam.group:
                self._take(name, number, self.folder / name / file, duration_s)
                taken.append(number)
        if taken:
            self._on_segments(name, taken)

    def _take(self, name: str, number: int, made: Path, duration_s: float) -> None:
        if not is_whole(made):
            raise unwritten(self.folder, f"{name}/{made.name}")
        if (init := self.folder / name / INIT).exists():
            self._groups.add_init(name, init)
        if self._seam and made.suffix == ".ts":
            self._continue_counters(name, number, made)
        self._groups.add(name, number, made, duration_s)

    def _continue_counters(self, name: str, number: int, made: Path) -> None:
        if name not in self._shifts:
            self._shifts[name] = _hls_counters.shifts(self._groups.segment(name, number - 1), made)
        if any(self._shifts[name].values()):
            _hls_counters.shift(made, self._shifts[name])
