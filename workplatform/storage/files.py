"""The files of one attempt, wherever they are: paths on this node, objects in a store, and what URLs give."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from threading import Lock
from typing import Final

import structlog

from workplatform.errors import BadInputError, JobError, NoSpaceError, TooLargeError
from workplatform.outbound import Outbound
from workplatform.ports import Output, Reporter, Source
from workplatform.settings import Settings
from workplatform.sockets import Watch
from workplatform.storage.local import LocalFiles
from workplatform.storage.remote import fetch
from workplatform.storage.s3 import S3, account_of
from workplatform.storage.s3_download import Found, download, look_up
from workplatform.storage.s3_output import S3File, S3Folder
from workplatform.storage.source import LocalSource, remote_source
from workplatform.storage.space import Usage
from workplatform.storage.traces import TraceFolder, Traces
from workplatform.storage.uris import S3Place, file_name, is_http, is_s3, s3_place, shown
from workplatform.store.records import CommittedOutput

_INPUTS: Final = ".inputs"
# Smaller objects are as fast by one request for the whole.
_WORTH_RANGES_BYTES: Final = 1 << 20

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Remotes:
    """The places beyond this node that its attempts may use, and how much they may fetch from there."""

    outbound: Outbound
    s3: S3
    traces: TraceFolder
    most_bytes: int = 32 << 30


def remotes_of(settings: Settings, outbound: Outbound) -> Remotes:
    """Return what the settings allow."""
    return Remotes(
        outbound=outbound,
        s3=S3(account_of(settings), outbound),
        traces=TraceFolder(settings.run_dir / "uploads"),
        most_bytes=settings.max_input_bytes,
    )


class AttemptFiles:
    """What one attempt reads and writes; safe to use from several threads.

    Inputs from elsewhere are fetched into the attempt's scratch space, once each. Outputs to a store are written there
    too; `send` brings what is large to the store before `commit` makes it visible.
    """

    def __init__(self, local: LocalFiles, remotes: Remotes, reporter: Reporter) -> None:
        self.local = local
        self.remotes = remotes
        self._reporter = reporter
        self._traces: Traces = remotes.traces.open(local.journal.job_id, local.journal.fence)
        self._outputs: list[S3File | S3Folder] = []
        self._committed: dict[str, CommittedOutput] = {}
        self._fetched: dict[str, Path] = {}
        self._numbers = count()
        self._lock = Lock()

    def local_place(self, uri: str) -> Path:
        """Return a permitted path on this node."""
        return self.local.roots.output(uri)

    def input(self, uri: str) -> Path:
        """Return a local file with the content of `uri`."""
        if not is_s3(uri) and not is_http(uri):
            return self.local.input(uri)
        with self._lock:
            fetched = self._fetched.get(uri)
        if fetched is None:
            fetched = self._fetch_object(uri) if is_s3(uri) else self._fetch_url(uri)
            with self._lock:
                self._fetched[uri] = fetched
        return fetched

    def source(self, uri: str) -> Source:
        """Return what a child process can open to read `uri`, by ranges where that is possible."""
        if is_http(uri):
            source = remote_source(uri, outbound=self.remotes.outbound, watch=self._watch)
            return source or LocalSource(self.input(uri))
        if is_s3(uri):
            return self._object_source(uri)
        return LocalSource(self.local.input(uri))

    def output(
        self, uri: str, *, directory: bool, last: str | None, owned: tuple[str, ...], resume: bool = False
    ) -> Output:
        """Plan an output."""
        if is_http(uri):
            raise BadInputError(f"{shown(uri)} cannot be written: give a path, or s3://bucket/key")
        if not is_s3(uri):
            return self.local.output(uri, directory=directory, last=last, owned=owned, resume=resume)
        place = self.place(uri)
        staged = self.local.stage(uri, directory=directory, last=last, owned=owned, resume=resume)
        kind = S3Folder if directory else S3File
        tell = self._counter("uploaded") if directory else self._teller("uploaded", uri)
        output = kind(staged, place, self.remotes.s3, self._traces, self._watch, tell)
        with self._lock:
            self._outputs.append(output)
        return output

    def is_folder(self, uri: str) -> bool:
        """Whether a folder is there; in a store there are none, but keys."""
        return not is_s3(uri) and not is_http(uri) and self.local.is_folder(uri)

    def require_room(self) -> None:
        """Raise NoSpaceError if a disk that the attempt writes to has less room left than it has to."""
        self.local.require_room()

    def usage(self) -> list[Usage]:
        """Return what the attempt takes of each disk."""
        return self.local.usage()

    @property
    def workdir(self) -> Path:
        """The attempt's scratch folder."""
        return self.local.workdir

    @property
    def has_outputs(self) -> bool:
        """Whether an output was planned that is not committed yet."""
        return bool(self._outputs) or self.local.has_outputs

    @property
    def committed(self) -> list[CommittedOutput]:
        """What was made visible."""
        return [*self.local.committed, *self._committed.values()]

    def check(self) -> None:
        """Raise if a planned output is missing, or something stands in its way."""
        self.local.check()
        for output in self._outputs:
            output.check()

    def send(self, output: Output | None = None) -> None:
        """Bring the bytes of one output, or of all, to where they belong; nothing is visible before the commit."""
        for planned in self._outputs if output is None else self._stored(output):
            planned.check()
            self._reporter.stage("uploading")
            planned.send()

    def commit(self) -> None:
        """Make every output visible."""
        for output in list(self._outputs):
            self._commit(output)
        self.local.commit()

    def publish(self, output: Output) -> None:
        """Make one output visible."""
        stored = self._stored(output)
        if not stored:
            self.local.publish(output)
        for planned in stored:
            self._commit(planned)

    def drop(self, output: Output) -> None:
        """Forget one output, and remove what was written."""
        stored = self._stored(output)
        if not stored:
            self.local.drop(output)
        for planned in stored:
            self._outputs.remove(planned)
            planned.drop()

    def let_go(self) -> None:
        """Leave resumable files to the next attempt: nobody writes any more."""
        self.local.let_go()
        for output in self._outputs:
            output.local.let_go()

    def discard(self, *, keep: bool = False) -> None:
        """Remove whatever is not committed, here and in the store; with `keep`, not what can be resumed.

        What cannot be removed from a store that is away stays noted, and is swept.
        """
        try:
            for output in self._outputs:
                output.abort()
            self._traces.forget()
        except JobError as error:
            _log.warning("uploads_stay", job_id=self.local.journal.job_id, error=error.message)
        finally:
            self.let_go()
            self.local.discard(keep=keep)

    @property
    def _watch(self) -> Watch:
        return self._reporter.check

    def place(self, uri: str) -> S3Place:
        """Read the URI of an object; raises StorageRefusedError for a bucket that jobs may not use."""
        place = s3_place(uri)
        self.remotes.s3.check(place)
        return place

    def _stored(self, output: Output) -> list[S3File | S3Folder]:
        with self._lock:
            return [planned for planned in self._outputs if planned is output]

    def _commit(self, output: S3File | S3Folder) -> None:
        output.commit()
        with self._lock:
            self._outputs.remove(output)
            self._committed[output.uri] = {"uri": output.uri, "directory": output.is_directory}

    def _object_source(self, uri: str) -> Source:
        place, s3 = self.place(uri), self.remotes.s3
        with s3.lane(self._watch) as lane:
            found = look_up(lane, place)
        if found.size > _WORTH_RANGES_BYTES:
            signed = s3.presigned(place)
            source = remote_source(signed, outbound=s3.outbound, watch=self._watch, etag=found.etag, name=uri)
            if source is not None:
                return source
        return LocalSource(self._fetch_object(uri, found))

    def _fetch_object(self, uri: str, found: Found | None = None) -> Path:
        place, s3 = self.place(uri), self.remotes.s3
        self._reporter.stage("fetching")
        if found is None:
            with s3.lane(self._watch) as lane:
                found = look_up(lane, place)
        target = self._place_for(uri)
        if found.size > self.remotes.most_bytes:
            raise TooLargeError(f"{uri} has {found.size} bytes, more than {self.remotes.most_bytes} (MAX_INPUT_BYTES)")
        if found.size > (free := disk_usage(target.parent).free):
            raise NoSpaceError(f"{uri} has {found.size} bytes, and {free} are free")
        download(s3, place, found, target, watch=self._watch, tell=self._teller("fetched", uri))
        return target

    def _fetch_url(self, uri: str) -> Path:
        self._reporter.stage("fetching")
        target = self._place_for(uri)
        fetch(
            uri,
            target,
            outbound=self.remotes.outbound,
            watch=self._watch,
            tell=self._teller("fetched", uri),
            most_bytes=self.remotes.most_bytes,
        )
        return target

    def _place_for(self, uri: str) -> Path:
        """Return where in the scratch space an input goes; its suffix stays, as some libraries look at it."""
        folder = self.local.workdir / _INPUTS
        folder.mkdir(exist_ok=True)
        suffix = PurePosixPath(file_name(uri)).suffix
        return folder / f"{next(self._numbers)}{suffix if suffix[1:].isalnum() and len(suffix) <= 8 else ''}"

    def _counter(self, verb: str) -> Callable[[int, int | None], None]:
        return lambda done, total: self._reporter.progress(0, f"{verb} {done} of {total} files")

    def _teller(self, verb: str, uri: str) -> Callable[[int, int | None], None]:
        name = file_name(uri)

        def tell(done: int, total: int | None) -> None:
            of_all = f" of {total / 1e6:.1f}" if total else ""
            self._reporter.progress(0, f"{verb} {done / 1e6:.1f}{of_all} MB of {name}")

        return tell
