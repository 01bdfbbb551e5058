"""Outputs in a store: written to scratch, sent when they are complete, and visible once the attempt has succeeded.

A file goes to its key in one step. The files of a folder go below `KEY/.JOB.FENCE.part/` first, as they are completed,
where no other attempt writes and no player looks; the commit has the store copy them to their places, and sends `last`
at the end. So what a dead attempt has sent can be removed by its name, whatever its successor has made meanwhile.
"""

from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Final

from workplatform.errors import BadInputError, InputNotFoundError
from workplatform.sockets import Watch
from workplatform.storage.lanes import Lanes
from workplatform.storage.output import LocalOutput
from workplatform.storage.s3 import S3, Lane
from workplatform.storage.s3_download import Tell
from workplatform.storage.s3_errors import NoBucketError
from workplatform.storage.s3_upload import Upload, abort, put
from workplatform.storage.traces import Trace, Traces
from workplatform.storage.uris import S3Place

_CLEANING_TRIES: Final = 2


@dataclass(slots=True, eq=False)
class S3Output:
    """What every output in a store has: a local one to write to, a place to bring it to, and who may interrupt that."""

    local: LocalOutput
    place: S3Place
    s3: S3
    traces: Traces
    watch: Watch
    tell: Tell

    @property
    def uri(self) -> str:
        """The place as the payload named it."""
        return self.local.uri

    @property
    def path(self) -> Path:
        """Where the handler writes."""
        return self.local.path

    @property
    def target(self) -> Path:
        """The place as a path: no local file, but with the name and the suffix that the result will have."""
        return Path("/", self.place.bucket, self.place.key)

    @property
    def note(self) -> Path:
        """Where the handler notes what the bytes of a resumable output are part of."""
        return self.local.note

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return self.local.is_directory

    def keep(self, name: str) -> None:
        """Let a later attempt on this node have a file of a folder; what was sent of it is sent again."""
        self.local.keep(name)

    def may_show(self) -> bool:
        """Raise BadInputError: who looks into a store could find files of a job that has failed."""
        raise BadInputError(f"{self.uri} is in a store, where nothing is shown before the job has ended: give a path")

    def show(self, _name: str) -> None:
        """Raise BadInputError."""
        self.may_show()

    def withdraw(self) -> None:
        """Do nothing: nothing was shown."""

    def check(self) -> None:
        """Raise EncoderError if the handler has written nothing."""
        self.local.check()

    def abort(self) -> None:
        """Remove what was sent and cannot be seen."""
        raise NotImplementedError

    def drop(self) -> None:
        """Remove what was written and sent."""
        self.abort()
        self.local.drop()


@dataclass(slots=True, eq=False)
class S3File(S3Output):
    """A file on its way into a store."""

    _upload: Upload | None = None

    def finish(self, _name: str) -> None:
        """Do nothing: a file is complete when the handler returns."""

    def send(self) -> None:
        """Send the bytes of a large file; nothing is visible yet."""
        self._upload = Upload(self.s3, self.place, self.path, traces=self.traces)
        self._upload.send(self.watch, self.tell)

    def commit(self) -> None:
        """Make the file visible."""
        if self._upload is None:
            self.send()
        assert self._upload is not None  # noqa: S101 - sent above
        with self.s3.lane(self.watch) as lane:
            self._upload.complete(lane)
        self.local.drop()

    def abort(self) -> None:
        """Remove what was sent."""
        if self._upload is not None:
            with self.s3.lane(_go_on, tries=_CLEANING_TRIES) as lane:
                self._upload.abort(lane)


@dataclass(slots=True, eq=False)
class S3Folder(S3Output):
    """A folder on its way into a store; its files may go there one by one while others are being made."""

    _lanes: Lanes | None = None
    _sent: dict[str, "Future[None]"] = field(default_factory=dict)
    _states: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def finish(self, name: str) -> None:
        """Send a file that will not change any more, while the handler goes on; raises what an earlier one ran into.

        One that another file has replaced is sent again, after the old one has arrived.
        """
        found = (self.path / name).stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._states.get(name) == state or name == self.local.last:
            return
        if self._lanes is not None and name in self._sent:
            self._lanes.wait([self._sent[name]])
        if self._lanes is None:
            self.traces.note_stage(self._stage)
            self._lanes = Lanes(self.s3, self.watch)
        self._raise_failures()
        self._states[name] = state
        self._sent[name] = self._lanes.submit(self._send_file, name)

    def send(self) -> None:
        """Send every file that is not there yet, all but the last one; nothing is visible at its place yet."""
        names = self._names()
        for name in names:
            self.finish(name)
        for count, name in enumerate(list(self._sent), 1):
            if self._lanes is not None:
                self._lanes.wait([self._sent[name]])
            self.tell(count, len(names))

    def commit(self) -> None:
        """Have the store bring the files to their places: the old `last` goes first, and the new one comes last."""
        self.send()
        last = self.local.last
        with Lanes(self.s3, self.watch) as lanes:
            if last:
                lanes.wait([lanes.submit(_delete, self.place.below(last))])
            lanes.each(self._publish, self._names())
            lanes.each(_delete, self._stale(lanes))
            if last:
                lanes.wait([lanes.submit(self._put_last, last)])
            lanes.each(_delete, [self._stage.below(name) for name in self._sent])
        self._sent.clear()
        self.abort()
        self.local.drop()

    def abort(self) -> None:
        """Remove what was sent and is not at its place yet."""
        if self._lanes is not None:
            self._lanes.close()
            self._lanes = None
        if self._sent:
            with self.s3.lane(_go_on, tries=_CLEANING_TRIES) as lane:
                remove_trace(lane, Trace(self._stage, ""))
            self._sent.clear()

    @property
    def _stage(self) -> S3Place:
        return self.traces.stage(self.place)

    def _names(self) -> list[str]:
        """Return the files there are, but the last one."""
        found = (entry for entry in self.path.rglob("*") if entry.is_file())
        return sorted({entry.relative_to(self.path).as_posix() for entry in found} - {self.local.last or ""})

    def _raise_failures(self) -> None:
        done = [future for future in self._sent.values() if future.done()]
        if self._lanes is not None and any(future.exception() for future in done):
            self._lanes.wait(done)

    def _send_file(self, lane: Lane, name: str) -> None:
        upload = Upload(self.s3, self._stage.below(name), self.path / name, traces=self.traces)
        upload.send(self.watch, _tell_nobody)
        upload.complete(lane)

    def _publish(self, lane: Lane, name: str) -> None:
        source = self._stage.below(name)
        lane.call("copy_object", self.place.below(name), CopySource={"Bucket": source.bucket, "Key": source.key})

    def _put_last(self, lane: Lane, name: str) -> None:
        put(lane, self.place.below(name), (self.path / name).read_bytes(), self.traces.mark)

    def _stale(self, lanes: Lanes) -> list[S3Place]:
        """Return what an earlier job made here, by the patterns of what is this job's own, and this one did not."""
        if not self.local.owned:
            return []
        made = set(self._names())
        [keys] = lanes.wait([lanes.submit(_keys_below, self.place)])
        start = len(self.place.key) + 1
        return [
            S3Place(self.place.bucket, key)
            for key in keys
            if key[start:] not in made and any(_matches(key[start:], pattern) for pattern in self.local.owned)
        ]


def remove_trace(lane: Lane, trace: Trace) -> None:
    """Remove from the store what a trace tells of; nothing happens if its bucket is gone."""
    with suppress(NoBucketError):
        if trace.upload_id:
            abort(lane, trace.place, trace.upload_id)
            return
        for key in _keys_below(lane, trace.place):
            _delete(lane, S3Place(trace.place.bucket, key))


def _delete(lane: Lane, place: S3Place) -> None:
    with suppress(InputNotFoundError):
        lane.call("delete_object", place)


def _keys_below(lane: Lane, place: S3Place) -> list[str]:
    keys: list[str] = []
    more: dict[str, Any] = {}
    while True:
        found = lane.ask_bucket("list_objects_v2", place, Prefix=f"{place.key}/", **more)
        keys += [entry["Key"] for entry in found.get("Contents", ())]
        if not found.get("IsTruncated"):
            return keys
        more = {"ContinuationToken": found["NextContinuationToken"]}


def _matches(name: str, pattern: str) -> bool:
    """Match as a local folder's glob does: a star is for one level."""
    parts, wanted = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _go_on() -> None:
    """Let the clean-up finish: the attempt has ended already."""


def _tell_nobody(_done: int, _total: int) -> None:
    """Report nothing: files of a folder are counted, not their bytes."""
