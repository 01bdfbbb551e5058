"""Files as answers: whole or a range, or nothing where the reader has the same already."""

import os
from collections.abc import Iterator
from http import HTTPStatus
from io import FileIO
from typing import TYPE_CHECKING, Final

from flask import Response, request

from api.answers import Header
from api.files_conditions import is_unchanged, version_of, wanted_range
from api.files_names import describing_headers
from api.files_pump import off_the_hub

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BLOCK_BYTES: Final = 256 * 1024


class FileBody:
    """The bytes of a file from where it stands, at most `count`; gunicorn hands them to the socket's sendfile."""

    def __init__(self, file: FileIO, count: int) -> None:
        self.filelike = file
        self._left = count

    def __iter__(self) -> Iterator[bytes]:
        with self.filelike:
            while self._left > 0 and (block := off_the_hub(self.filelike.read, min(self._left, _BLOCK_BYTES))):
                self._left -= len(block)
                yield block

    def close(self) -> None:
        """Close the file."""
        self.filelike.close()


def serve(file: FileIO, name: str) -> Response:
    """Answer the current request with a file that is open, and close it; raises RequestError (412, 416)."""
    try:
        return _serve(request.environ, file, name)
    except BaseException:
        file.close()
        raise


def _serve(environ: "WSGIEnvironment", file: FileIO, name: str) -> Response:
    header = request.headers.get
    facts = os.fstat(file.fileno())
    version = version_of(facts)
    about: tuple[Header, ...] = (
        ("ETag", f'"{version.etag}"'),
        ("Last-Modified", version.last_modified),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "private, no-cache"),
    )
    if is_unchanged(header, version):
        file.close()
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=[*about])
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    part = None if is_head else wanted_range(header, version, facts.st_size)
    count = part.length if part else facts.st_size
    headers = [*about, *describing_headers(name), ("Content-Length", str(count))]
    if part:
        headers.append(("Content-Range", f"bytes {part.first}-{part.last}/{facts.st_size}"))
        file.seek(part.first)
    status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
    if is_head:
        file.close()
        return Response(status=status, headers=headers)
    environ["wsgi.file_wrapper"] = FileBody  # by which gunicorn knows what it may send by sendfile
    return Response(FileBody(file, count), status, headers, direct_passthrough=True)
