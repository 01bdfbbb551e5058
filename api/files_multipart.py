"""Files from a form: each part streamed to the disk, and all of them placed once the whole form is there."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from api.answers import Answer, json_answer
from api.files_digests import Digests, claims
from api.files_documents import upload_document
from api.files_names import Parts, bad_name, parts_of
from api.files_pump import off_the_hub
from api.files_receiving import Incoming, write_problem
from api.files_uploads import Temporary, Uploads
from api.problems import RequestError

_MOST_FILES: Final = 500
_MOST_FIELD_BYTES: Final = 4096


class Form:
    """Answers multipart POST. The field `folder`, sent before the files, says where they go."""

    def __init__(self, uploads: Uploads, *, most: int) -> None:
        self._uploads = uploads
        self._most = most

    def answer(self) -> Answer:
        """Take the files of the current request; raises RequestError, and then none of them is there."""
        self._uploads.prepare()
        boundary = _boundary()
        incoming = Incoming.of(request.environ, most=self._most)
        self._uploads.require_space(incoming.length)
        digests = Digests(claims(request.headers.get))
        with ExitStack() as held:
            taken = self._taken(_events(incoming, boundary, self._uploads.watched(digests.update)), held)
            if not taken:
                raise RequestError(HTTPStatus.BAD_REQUEST, "the form holds no file", code="bad_form")
            digests.check()
            for parts, temporary in taken.items():
                self._uploads.place(temporary, parts, lambda: None, only_new=False)
            documents = [
                upload_document(self._uploads, "/".join(parts), os.fstat(temporary.fd))
                for parts, temporary in taken.items()
            ]
        return json_answer({"files": documents}, status=HTTPStatus.CREATED)

    def _taken(self, events: Iterator[Event], held: ExitStack) -> dict[Parts, Temporary]:
        """Write each file of the form; returns them by name."""
        taken: dict[Parts, Temporary] = {}
        folder, field, fd = "", bytearray(), -1
        for event in events:
            if isinstance(event, File):
                parts = self._name(folder, event)
                if len(taken) == _MOST_FILES:
                    raise _bad_form("too many files")
                _require_apart(parts, taken)
                taken[parts] = held.enter_context(self._uploads.passing())
                fd = taken[parts].fd
            elif isinstance(event, Field):
                if event.name != "folder":
                    raise _bad_form(f"unknown field {event.name!r}; there is `folder`, the rest are files")
                field, fd = bytearray(), -1
            elif isinstance(event, Data) and fd >= 0:
                _write(fd, event.data)
            elif isinstance(event, Data):
                field += event.data
                if len(field) > _MOST_FIELD_BYTES:
                    raise _bad_form("folder is too long")
                folder = field.decode("utf-8", "replace").strip("/")
        return taken

    def _name(self, folder: str, file: File) -> Parts:
        name = file.filename
        if not name:
            raise bad_name("a file of the form has no name", field=file.name or "file")
        parts = parts_of(f"{folder}/{name}" if folder else name, field=file.name or "file")
        self._uploads.require_place(parts)
        return parts


def _require_apart(parts: Parts, others: Iterable[Parts]) -> None:
    """Raise RequestError if a name is that of another file of the form, or one of them lies below the other."""
    for other in others:
        if parts == other:
            raise _bad_form(f"two files are named {'/'.join(parts)}")
        shorter, longer = sorted((parts, other), key=len)
        if longer[: len(shorter)] == shorter:
            raise _bad_form(f"{'/'.join(shorter)} cannot be a file, as another file lies below it")


def _events(incoming: Incoming, boundary: bytes, look: Callable[[bytes], None]) -> Iterator[Event]:
    """Yield what the form holds; raises RequestError (400) unless it comes to its end."""
    decoder = MultipartDecoder(boundary, max_parts=_MOST_FILES + 10)
    blocks = incoming.blocks()
    try:
        while not isinstance(event := decoder.next_event(), Epilogue):
            if not isinstance(event, NeedData):
                yield event
            elif block := next(blocks, b""):
                look(block)
                decoder.receive_data(block)
            else:
                decoder.receive_data(None)
        for block in blocks:
            look(block)
    except RequestEntityTooLarge as error:
        raise _bad_form("the head of a part is too long, or there are too many") from error
    except ValueError as error:
        raise _bad_form("it ends before its last boundary, or is no multipart form") from error


def _boundary() -> bytes:
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != "multipart/form-data":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "files are posted as multipart/form-data; a single one is better sent by PUT /api/files/NAME",
        )
    boundary = options.get("boundary", "").encode("ascii", "ignore")
    if not boundary:
        raise _bad_form("the Content-Type names no boundary")
    return boundary


def _write(fd: int, data: bytes) -> None:
    try:
        off_the_hub(_write_all, fd, data)
    except OSError as error:
        raise write_problem(error) from error


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _bad_form(detail: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, f"the form cannot be read: {detail}", code="bad_form")
