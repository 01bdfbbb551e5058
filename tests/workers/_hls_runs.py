"""Runs the hls job on real files."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.workers._streams import Stream, assert_playable, read_stream
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.testing import InlineRun, inline_job

TWO = ({"name": "high", "height": 180}, {"name": "low", "height": 90})


@dataclass(frozen=True)
class Ladder:
    """A finished job: its result on the wire, its log, and what a player finds."""

    result: dict[str, Any]
    log: list[str]
    told: list[tuple[float, str, str]]
    streams: list[Stream]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each rendition."""
        return [stream.size for stream in self.streams]


def make_ladder(source: Path, *, qualities: Any = TWO, pixels: str = "yuv420p", **more: Any) -> Ladder:
    """Run the job on a file and read back all that it made, with the checks that hold for every video."""
    root = source.parent
    payload = {"inputPath": source.name, "outputDir": "out", "qualities": qualities, **more}
    with inline_job(root, preload=("workers._hls_making",)) as run:
        result = hls(HlsPayload.model_validate(payload), run.job)
    document = result.model_dump(mode="json", by_alias=True)
    streams = [read_stream(root / rendition["playlist"]) for rendition in document["renditions"]]
    assert_playable(streams, pixels=pixels)
    return Ladder(document, run.lines, run.told, streams)


def make_watched_ladder(
    source: Path, run: InlineRun, *, on_look: Callable[[InlineRun], None] = lambda _: None, **payload: Any
) -> None:
    """Run the job in a thread and look at what it tells until it ends; raises what it raises."""
    validated = HlsPayload.model_validate({"inputPath": source.name, "outputDir": "out", **payload})
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(hls, validated, run.job)
        while not wait([ended], timeout=0.02).done:
            run.look()
            on_look(run)
    ended.result()


def files_below(folder: Path) -> set[str]:
    """Return the names of all files and folders below a folder, the platform's own excepted."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {name for name in names if not name.startswith(".workplatform")}
