"""Telling which segments are complete while ffmpeg still writes others."""

from collections.abc import Sequence

from workers._hls_playlist import SEGMENT_PATTERN
from workplatform.context import Output


class SegmentWatch:
    """Hands on each rendition's segments one by one, each as soon as the next one has been begun."""

    def __init__(self, output: Output, names: Sequence[str]) -> None:
        self._output = output
        self._next = dict.fromkeys(names, 0)

    def look(self) -> None:
        """Hand on what was completed since the last look."""
        for name in self._next:
            while (self._output.path / name / (SEGMENT_PATTERN % (self._next[name] + 1))).exists():
                self._output.finish(f"{name}/{SEGMENT_PATTERN % self._next[name]}")
                self._next[name] += 1
