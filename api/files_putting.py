"""Putting a file: whole in one request, or piece by piece by Content-Range, so that it survives a broken connection."""

import os
from http import HTTPStatus

from flask import request

from api.answers import Answer, Header, json_answer
from api.files_conditions import Piece, Range, check_writable, sent_piece
from api.files_digests import Digests, claims
from api.files_documents import upload_document
from api.files_names import Parts
from api.files_pump import off_the_hub
from api.files_receiving import Incoming, ShortBodyError, too_large
from api.files_uploads import Temporary, Uploads
from api.problems import RequestError

_BLOCK_BYTES = 1024 * 1024


class Putting:
    """Answers PUT."""

    def __init__(self, uploads: Uploads, *, most: int) -> None:
        self._uploads = uploads
        self._most = most

    def answer(self, parts: Parts) -> Answer:
        """Take what the current request brings; raises RequestError."""
        self._uploads.prepare()
        incoming = Incoming.of(request.environ, most=self._most)
        piece = sent_piece(request.headers.get, incoming.length)
        self._check(parts)
        self._uploads.require_place(parts)
        return self._piece(parts, piece, incoming) if piece else self._whole(parts, incoming)

    def _whole(self, parts: Parts, incoming: Incoming) -> Answer:
        self._uploads.require_space(incoming.length)
        digests = Digests(claims(request.headers.get))
        with self._uploads.passing() as temporary:
            incoming.into(temporary.fd, self._uploads.watched(digests.update))
            digests.check()
            return self._placed(parts, temporary)

    def _piece(self, parts: Parts, piece: Piece, incoming: Incoming) -> Answer:
        if piece.total > self._most:
            raise too_large(self._most)
        claimed = claims(request.headers.get)
        of_whole = [claim for claim in claimed if claim.is_of_whole]
        with self._uploads.resumable(parts, piece.total, *(claim.digest.hex() for claim in of_whole)) as temporary:
            if piece.range is None:
                # Of a file that is all there but was not put in place, as the API was killed, the last byte is asked
                # for again: the request that brings it is answered with the file.
                return _so_far(max(0, min(temporary.size, piece.total - 1)))
            if piece.range.first > temporary.size:
                raise _gap(temporary.size)
            self._uploads.require_space(piece.total - temporary.size)
            sent = Digests(claim for claim in claimed if not claim.is_of_whole)
            whole = Digests(of_whole if piece.range.last + 1 == piece.total else ())
            self._receive(temporary, piece.range, incoming, sent=sent, whole=whole)
            if temporary.size < piece.total:
                return _so_far(temporary.size)
            try:
                whole.check()
                return self._placed(parts, temporary)
            except RequestError:
                temporary.path.unlink(missing_ok=True)
                raise

    def _receive(self, temporary: Temporary, part: Range, incoming: Incoming, *, sent: Digests, whole: Digests) -> None:
        """Write a piece; what came of one that breaks off stays, one whose checksum is wrong is taken back."""

        def look(data: memoryview | bytes) -> None:
            sent.update(data)
            whole.update(data)

        os.ftruncate(temporary.fd, part.first)
        off_the_hub(_read_back, temporary.fd, whole)
        try:
            arrived = incoming.into(temporary.fd, self._uploads.watched(look))
            if arrived < part.length:
                raise ShortBodyError(arrived)
            if arrived > part.length:
                raise _overrun(part)
            sent.check()
        except ShortBodyError:
            os.ftruncate(temporary.fd, min(temporary.size, part.last + 1))
            raise
        except RequestError:
            os.ftruncate(temporary.fd, part.first)
            raise

    def _placed(self, parts: Parts, temporary: Temporary) -> Answer:
        is_new = self._uploads.version(parts) is None
        only_new = request.headers.get("If-None-Match", "").strip() == "*"
        self._uploads.place(temporary, parts, lambda: self._check(parts), only_new=only_new)
        document = upload_document(self._uploads, "/".join(parts), os.fstat(temporary.fd))
        headers: tuple[Header, ...] = (("ETag", document["etag"]), ("Location", document["url"]))
        return json_answer(document, status=HTTPStatus.CREATED if is_new else HTTPStatus.OK, headers=headers)

    def _check(self, parts: Parts) -> None:
        check_writable(request.headers.get, self._uploads.version(parts))


def _read_back(fd: int, digests: Digests) -> None:
    """Let checksums of the whole see what came before; leaves the file at its end."""
    os.lseek(fd, 0 if digests.is_needed else os.fstat(fd).st_size, os.SEEK_SET)
    while block := os.read(fd, _BLOCK_BYTES):
        digests.update(block)


def _so_far(size: int) -> Answer:
    """Say how much is there, as resumable uploads do: 308 and a Range, none for nothing."""
    headers: tuple[Header, ...] = (("Range", f"bytes=0-{size - 1}"),) if size else ()
    return json_answer({"received": size}, status=HTTPStatus.PERMANENT_REDIRECT, headers=headers)


def _overrun(part: Range) -> RequestError:
    detail = f"spans {part.length} bytes, and more came"
    problem = {"pointer": "/Content-Range", "header": "Content-Range", "detail": detail}
    return RequestError(HTTPStatus.BAD_REQUEST, f"Content-Range: {detail}", code="bad_header", problems=[problem])


def _gap(size: int) -> RequestError:
    return RequestError(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        f"Content-Range: {size} bytes of this file are here, go on from there",
        headers=(("Range", f"bytes=0-{size - 1}"),) if size else (),
    )
