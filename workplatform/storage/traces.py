"""Traces: what attempts of this node have begun in a store, so that a dead attempt's leftovers can be removed there.

One file an attempt, named `JOB.FENCE`, one line of JSON for an upload or a folder of staged objects. It is written
before the objects are and removed after the last of them is gone. A folder is removed only if its name is that of the
attempt.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from workplatform.storage.uris import S3Place


@dataclass(frozen=True, slots=True)
class Trace:
    """An upload that was begun (`upload_id`), or a folder of staged objects."""

    place: S3Place
    upload_id: str


class Traces:
    """The traces of one attempt. Thread-safe."""

    def __init__(self, folder: Path, job_id: str, fence: int, *, is_noted: bool) -> None:
        self.job_id = job_id
        self.fence = fence
        self._folder = folder
        self._is_noted = is_noted
        self._lock = Lock()

    @property
    def mark(self) -> str:
        """The attempt's name, as objects carry it."""
        return f"{self.job_id}.{self.fence}"

    @property
    def _file(self) -> Path:
        return self._folder / self.mark

    def stage(self, place: S3Place) -> S3Place:
        """Return the folder, inside an output's, in which its files wait until they are complete."""
        return place.below(f".{self.mark}.part")

    def note_upload(self, place: S3Place, upload_id: str) -> None:
        """Record an upload that was begun."""
        self._note({"bucket": place.bucket, "key": place.key, "upload": upload_id})

    def note_stage(self, stage: S3Place) -> None:
        """Record a folder that is about to get objects."""
        self._note({"bucket": stage.bucket, "key": stage.key})

    def noted(self) -> list[Trace]:
        """Return what was recorded and may still be there."""
        try:
            lines = self._file.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return []
        return [trace for line in lines if (trace := self._read(line)) is not None]

    def forget(self) -> None:
        """Remove the record: nothing is left in the store."""
        if self._is_noted:
            self._file.unlink(missing_ok=True)

    def _note(self, record: dict[str, Any]) -> None:
        with self._lock:
            self._is_noted = True
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record) + "\n")

    def _read(self, line: str) -> Trace | None:
        """Read a line; the last one is cut short if its writer was killed."""
        try:
            record = json.loads(line)
            trace = Trace(S3Place(record["bucket"], record["key"]), str(record.get("upload", "")))
        except (ValueError, TypeError, KeyError):
            return None
        is_stage = trace.place.key.endswith(f"/.{self.mark}.part")
        return trace if trace.upload_id or is_stage else None


class TraceFolder:
    """The traces of a node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, job_id: str, fence: int) -> Traces:
        """Return the traces of an attempt; nothing is written yet."""
        return Traces(self._folder, job_id, fence, is_noted=False)

    def all(self) -> Iterator[Traces]:
        """Yield the traces on disk."""
        if not self._folder.is_dir():
            return
        for file in sorted(self._folder.iterdir()):
            job_id, _, fence = file.name.rpartition(".")
            if fence.isdigit():
                yield Traces(self._folder, job_id, int(fence), is_noted=True)
