"""Putting a file into a store, in two steps: its bytes go there first, and become visible when it is completed."""

import math
import os
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any, Final

from workplatform.errors import InputNotFoundError, StorageError
from workplatform.sockets import Watch
from workplatform.storage.lanes import Lanes
from workplatform.storage.s3 import S3, Lane
from workplatform.storage.s3_download import PART_BYTES, Tell
from workplatform.storage.traces import Traces
from workplatform.storage.uris import S3Place, content_type

_MOST_PARTS: Final = 10_000
# Says in the object which attempt made it.
_MARK: Final = "attempt"


class Upload:
    """One file on its way. Small ones are sent by the request that makes them visible, large ones in parts before."""

    def __init__(self, s3: S3, place: S3Place, path: Path, *, traces: Traces) -> None:
        self._s3 = s3
        self._place = place
        self._path = path
        self._traces = traces
        self._id = ""
        self._etags: list[str] = []

    def send(self, watch: Watch, tell: Tell) -> None:
        """Send a large file's parts; a small file waits for `complete`."""
        size = self._path.stat().st_size
        if size <= PART_BYTES:
            return
        with Lanes(self._s3, watch) as lanes:
            [self._id] = lanes.wait([lanes.submit(self._begin)])
            part_bytes = max(PART_BYTES, math.ceil(size / _MOST_PARTS))
            progress = _Progress(size, tell)
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                parts: list[Future[str]] = [
                    lanes.submit(self._send_part, fd, number, part_bytes, progress)
                    for number in range(math.ceil(size / part_bytes))
                ]
                self._etags = lanes.wait(parts)
            finally:
                lanes.close()
                os.close(fd)

    def complete(self, lane: Lane) -> None:
        """Make the file visible, all of it at once."""
        if self._id:
            self._complete_parts(lane)
        else:
            put(lane, self._place, self._path.read_bytes(), self._traces.mark)

    def abort(self, lane: Lane) -> None:
        """Have the store forget the parts of an upload that was not completed."""
        if self._id:
            abort(lane, self._place, self._id)
            self._id = ""

    def _begin(self, lane: Lane) -> str:
        answer = lane.call("create_multipart_upload", self._place, **_facts(self._place, self._traces.mark))
        upload_id = str(answer["UploadId"])
        self._traces.note_upload(self._place, upload_id)
        return upload_id

    def _send_part(self, lane: Lane, fd: int, number: int, part_bytes: int, progress: "_Progress") -> str:
        body = os.pread(fd, part_bytes, number * part_bytes)
        answer = lane.call("upload_part", self._place, UploadId=self._id, PartNumber=number + 1, Body=body)
        progress.add(len(body))
        return str(answer["ETag"])

    def _complete_parts(self, lane: Lane) -> None:
        parts = [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(self._etags, 1)]
        tries = 0

        def step() -> None:
            nonlocal tries
            tries += 1
            # An answer may have got lost: asked again, the store finds no upload any more, but the object is ours.
            if tries == 1 or not self._is_there(lane):
                lane.ask("complete_multipart_upload", self._place, UploadId=self._id, MultipartUpload={"Parts": parts})

        lane.repeated(self._place, step)
        self._id = ""

    def _is_there(self, lane: Lane) -> bool:
        try:
            head = lane.call("head_object", self._place)
        except InputNotFoundError:
            return False
        is_ours = head.get("Metadata", {}).get(_MARK) == self._traces.mark
        return is_ours and int(head["ContentLength"]) == self._path.stat().st_size


def put(lane: Lane, place: S3Place, body: bytes, mark: str) -> None:
    """Write a small object in one step."""
    lane.call("put_object", place, Body=body, **_facts(place, mark))


def abort(lane: Lane, place: S3Place, upload_id: str) -> None:
    """Have the store forget an upload; nothing happens if it is gone."""
    try:
        lane.call("abort_multipart_upload", place, UploadId=upload_id)
    except StorageError as error:
        if not error.data.get("is_gone"):
            raise
    except InputNotFoundError:
        return


def _facts(place: S3Place, mark: str) -> dict[str, Any]:
    return {"ContentType": content_type(place.key), "Metadata": {_MARK: mark}}


class _Progress:
    """How much of a file has been sent, over all lanes."""

    def __init__(self, size: int, tell: Tell) -> None:
        self._size = size
        self._tell = tell
        self._sent = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        with self._lock:
            self._sent += count
            self._tell(self._sent, self._size)
