"""Resuming: which segments of an output are complete, and where an encoder goes on after an attempt that died.

A group is the segments with one number in all renditions. The complete groups are kept. The encoder starts again one
group earlier: what it makes of that one is compared with what is there, time by time, and thrown away. So rate control
and sound are warm where the new segments begin, and nothing is lost, doubled or shifted between old and new.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers._hls_moments import first_moment
from workers._hls_playlist import CLOCK_START_S, INIT, MediaPlaylist, Segment, map_line
from workers._hls_span import Span
from workplatform.context import JobContext, Output

# Seeking is not exact in some containers, and may end after the moment that was asked for.
_SEEK_EARLIER_S: Final = 6.0
# Fewer groups are made anew as fast as they are checked.
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete segment: the name of its file in its rendition's folder, how long it lasts, and how large it is."""

    file: str
    duration_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Seam:
    """Where old and new meet: `group` is the first new one, `span` is encoded, from the group before on."""

    group: int
    span: Span


class Groups:
    """The complete segments of an output, noted so that a later attempt of the job can go on with them.

    `made_from` names the source and all settings; segments of anything else are forgotten.
    """

    def __init__(self, output: Output, names: Sequence[str], made_from: str) -> None:
        self._output = output
        self.names = list(names)
        self._made_from = made_from
        self.beginning = 0
        self._kept: dict[str, dict[int, Kept]] = {name: {} for name in names}
        if not self._read():
            self.start_over()

    @property
    def folder(self) -> Path:
        """Where the folders of the renditions are."""
        return self._output.path

    def segment(self, name: str, number: int) -> Path:
        """Return the file of a complete segment."""
        return self.folder / self.file(name, number)

    def file(self, name: str, number: int) -> str:
        """Return the file of a complete segment as the output names it."""
        return f"{name}/{self._kept[name][number].file}"

    def playlist(self, name: str) -> MediaPlaylist:
        """Return the complete segments of a rendition, from the first on as far as none is missing."""
        segments: list[Segment] = []
        while (kept := self._kept[name].get(len(segments))) is not None:
            segments.append(Segment(kept.file, kept.duration_s, kept.size_bytes))
        head = (map_line(INIT),) if (self.folder / name / INIT).exists() else ()
        return MediaPlaylist(tuple(segments), head)

    def add(self, name: str, number: int, made: Path, duration_s: float) -> None:
        """Take a complete segment from where it was made."""
        file, size = f"segment_{number:05d}{made.suffix}", made.stat().st_size
        self._place(name, made, file)
        self._kept[name][number] = Kept(file, duration_s, size)
        self._note([name, number, file, duration_s])

    def add_init(self, name: str, made: Path) -> None:
        """Take an initialization section, unless there is one."""
        if not (self.folder / name / INIT).exists():
            self._place(name, made, INIT)

    def forget(self) -> None:
        """Count nothing as complete any more; files stay until others take their place, and so does what is shown."""
        for name in self.names:
            (self.folder / name).mkdir(exist_ok=True)
        self._kept = {name: {} for name in self.names}
        self._output.note.write_text(json.dumps([self._made_from]) + "\n", encoding="utf-8")

    def start_over(self) -> None:
        """Forget and remove all that was made, and what is shown of it; `beginning` counts how often."""
        self.beginning += 1
        self._output.withdraw()
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self.forget()

    def seam(self, job: JobContext, names: Sequence[str], *, back: int) -> Seam | None:
        """Return where to go on with some renditions, `back` groups before all that is there; None to start over."""
        group = min((len(self.playlist(name).segments) for name in names), default=0) - back
        if group < _FEWEST:
            return None
        start_s = job.isolated(first_moment, self.segment(names[-1], group - 1)) - CLOCK_START_S
        return Seam(group, Span(begin_s=max(0.0, start_s), seek_s=max(0.0, start_s - _SEEK_EARLIER_S)))

    def smallest(self, names: Sequence[str], count: int) -> list[Path]:
        """Return the first segments of the rendition that has the fewest bytes."""
        name = min(names, key=lambda name: self.playlist(name).size_bytes)
        return [self.segment(name, number) for number in range(count)]

    def _place(self, name: str, made: Path, file: str) -> None:
        made.replace(self.folder / name / file)
        self._output.keep(f"{name}/{file}")

    def _note(self, entry: list[object]) -> None:
        with self._output.note.open("a", encoding="utf-8") as note:
            note.write(json.dumps(entry) + "\n")

    def _read(self) -> bool:
        """Read the note of an earlier attempt; whether it is about the same work."""
        try:
            lines = self._output.note.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return False
        if lines[0] != json.dumps([self._made_from]):
            return False
        for line in lines[1:]:
            try:
                name, number, file, duration_s = json.loads(line)
            except ValueError:
                continue  # the last one is cut short if its writer was killed
            if name in self._kept and (path := self.folder / name / file).is_file():
                self._kept[name][number] = Kept(file, duration_s, path.stat().st_size)
        return True
