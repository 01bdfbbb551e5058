"""Reading the segments of playlists in child processes that a hostile file may end or hold up."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workplatform.children import ChildPool
from workplatform.errors import ChildCrashedError, JobError
from workplatform.hls_check.facts import Facts, Order, Source
from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.folder import Folder
from workplatform.hls_check.keys import KeyRing
from workplatform.hls_check.media import ByteRange, Initialization, MediaPlaylist, Segment
from workplatform.hls_check.probe import probe
from workplatform.hls_check.streams import Piece, Stream

_PATIENCE_S = 30.0
# A folder where so many segments end or hold up their reader is hostile; each may cost the whole patience.
_MOST_CRASHES = 5
_CHILDREN = 4


class _TookTooLongError(Exception):
    """A segment holds up its reader."""


@dataclass(slots=True)
class SegmentReader:
    """Reads segments, several at a time; what cannot be read is told as a finding."""

    folder: Folder
    keys: KeyRing
    findings: Findings
    pool: ChildPool
    threads: ThreadPoolExecutor
    probe: Callable[[Order], Facts] = probe
    patience_s: float = _PATIENCE_S
    read: int = 0
    _crashes: list[str] = field(default_factory=list)

    def stream(self, playlist: MediaPlaylist) -> Stream:
        """Read all segments of a playlist."""
        prepared = [self._prepare(playlist, segment) for segment in playlist.segments]
        facts = list(self.threads.map(self._facts, [order for order, _ in prepared]))
        self.read += sum(order is not None for order, _ in prepared)
        pieces = []
        for segment, (order, size), found in zip(playlist.segments, prepared, facts, strict=True):
            if isinstance(found, str):
                self.findings.add("segment-crash", playlist.place(segment.line), f"{segment.uri}: {found}")
            elif order is not None and found is None:
                self.findings.add("check-stopped", playlist.place(segment.line), f"{segment.uri} was not read")
            pieces.append(Piece(segment, found if isinstance(found, Facts) else None, size))
        return Stream(playlist, tuple(pieces))

    def sizes(self, playlist: MediaPlaylist) -> Stream:
        """Look for the segments of a playlist without reading them."""
        prepared = [self._prepare(playlist, segment) for segment in playlist.segments]
        return Stream(
            playlist,
            tuple(Piece(one, None, size) for one, (_, size) in zip(playlist.segments, prepared, strict=True)),
        )

    def _prepare(self, playlist: MediaPlaylist, segment: Segment) -> tuple[Order | None, int]:
        """Find what a segment needs; return its order if all is there, and its size if it is."""
        place = playlist.place(segment.line)
        if segment.is_gap:
            return None, 0
        path = self.folder.find(segment.uri, place)
        if path is None or (segment.range and not self.folder.covers(path, segment.range, place)):
            return None, 0
        size = segment.range.length if segment.range else path.stat().st_size
        is_open, key = self.keys.key_of(segment.key, place)
        init = self._init(playlist, segment.map) if segment.map else None
        if not is_open or (segment.map and init is None):
            return None, size
        iv = segment.key.iv if segment.key else None
        media = Source(path, segment.range, key, iv or segment.sequence.to_bytes(16, "big"))
        return Order(media, init, playlist.is_iframes_only), size

    def _init(self, playlist: MediaPlaylist, map_: Initialization) -> Source | None:
        place: Place = playlist.place(map_.line)
        path: Path | None = self.folder.find(map_.uri, place)
        part: ByteRange | None = map_.range
        if path is None or (part and not self.folder.covers(path, part, place)):
            return None
        is_open, key = self.keys.key_of(map_.key, place)
        return Source(path, part, key, map_.key.iv if map_.key else None) if is_open else None

    def _facts(self, order: Order | None) -> Facts | str | None:
        """Read one segment; a string says why its reader ended."""
        if order is None or len(self._crashes) >= _MOST_CRASHES:
            return None
        try:
            return self.pool.call(self.probe, _patience(self.patience_s), order)
        except ChildCrashedError as error:
            self._crashes.append(error.message)
        except JobError as error:
            return error.message
        except _TookTooLongError:
            self._crashes.append(f"it could not be read within {self.patience_s:g} s")
        return self._crashes[-1]


@contextmanager
def segment_reader(folder: Folder, findings: Findings, key_folder: Path | None) -> Iterator[SegmentReader]:
    """Give a reader; its processes end with it."""
    pool = ChildPool(preload=("workplatform.hls_check.probe",))
    count = min(_CHILDREN, os.cpu_count() or 1)
    with ThreadPoolExecutor(count) as threads:
        try:
            yield SegmentReader(folder, KeyRing(folder, findings, key_folder), findings, pool, threads)
        finally:
            pool.close()


def _patience(seconds: float) -> Callable[[], None]:
    deadline = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > deadline:
            raise _TookTooLongError

    return check
