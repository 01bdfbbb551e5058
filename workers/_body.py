"""The bytes of an answer, read as they come into the caller's own buffer.

requests and urllib3 hand out new bytes objects; at the speed of a local network half of the time goes into making
them. The socket is read here through the buffered stream below urllib3, so the framing (length, chunks, coding) is
this module's to check: a body that ends early is an error, never an end.
"""

import os
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from http.client import HTTPException, IncompleteRead
from typing import Any, Final

import requests

from workplatform.errors import UnexpectedContentError
from workplatform.sockets import PatientSocket

_CODED_BYTES: Final = 64 * 1024
_LINGER_S: Final = 0.2
_WORTH_SPLICING_BYTES: Final = 1 << 20
_CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})


class BrokenOffError(Exception):
    """The body ended before its end, or its connection broke; what was read so far is good."""


def body_length(answer: requests.Response) -> int | None:
    """Return the bytes that the answer announces, as they travel; None if it does not say.

    Raises UnexpectedContentError for a length that is no number (RFC 9112, 6.3).
    """
    inner: Any = answer.raw._fp
    length: int | None = None if inner.chunked else inner.length
    if length is None and not inner.chunked and "Content-Length" in answer.headers:
        raise UnexpectedContentError("the server announces a length that is no number")
    return length


def coding_of(answer: requests.Response) -> str:
    """Return the Content-Encoding, empty for none; raises UnexpectedContentError for one that cannot be undone."""
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        return ""
    if coding not in _CODINGS:
        raise UnexpectedContentError(f"the file comes in the encoding {coding!r}, which was not asked for")
    return coding


def open_body(answer: requests.Response, *, coding: str, length: int | None) -> "Framed":
    """Return a body that has `length` bytes by its headers, None to read to its end; a coding is undone."""
    inner: Any = answer.raw._fp
    plain: Framed = Chunked(inner) if inner.chunked else Sized(inner, body_length(answer) if coding else length)
    return Decoded(plain, coding) if coding else plain


class Framed(ABC):
    """A body whose end is known by the rules of HTTP."""

    _failure: BrokenOffError | None = None

    def readinto(self, view: memoryview) -> int:
        """Read what is there; 0 at the end. Raises BrokenOffError, and again whenever it is asked once more."""
        return self._guarded(lambda: self._read(view))

    def _guarded(self, read: Callable[[], int]) -> int:
        if self._failure is not None:
            raise self._failure
        try:
            return read()
        except BrokenOffError as error:
            self._failure = error
            raise
        except (OSError, HTTPException, ValueError) as error:
            self._failure = BrokenOffError(_reason(error))
            raise self._failure from error

    def has_more(self) -> bool:
        """Whether the server sends more than it announced."""
        return False

    @property
    def can_splice(self) -> bool:
        """Whether the kernel can move the rest, once a read has filled less than a large view."""
        return False

    def splice(self, pipe: int, most: int) -> int:
        """Move what is there into an empty pipe; 0 at the end. Raises what `readinto` does."""
        return self._guarded(lambda: self._splice(pipe, most))

    def _splice(self, pipe: int, most: int) -> int:
        """Do by hand what the kernel cannot: an empty pipe takes this much."""
        view = memoryview(bytearray(min(most, _CODED_BYTES)))
        count = self._read(view)
        os.write(pipe, view[:count])
        return count

    @abstractmethod
    def _read(self, view: memoryview) -> int:
        """Read what is there; 0 at the end."""


class Sized(Framed):
    """A body of an announced length, or one that ends with its connection."""

    def __init__(self, inner: Any, length: int | None) -> None:
        self._stream = inner.fp
        self._left = length

    def has_more(self) -> bool:
        """Whether another byte follows; waits a moment for the server to close, as it was asked to."""
        if self._left != 0:
            return False
        try:
            self._stream.raw._sock.settimeout(_LINGER_S)
            return bool(self._stream.read1(16).strip())
        except OSError:
            return False

    @property
    def can_splice(self) -> bool:
        """Whether this is a plain connection on Linux with much to come."""
        is_plain = isinstance(self._stream.raw._sock, PatientSocket)
        return sys.platform == "linux" and is_plain and self._left is not None and self._left > _WORTH_SPLICING_BYTES

    def _read(self, view: memoryview) -> int:
        if self._left is None:
            count: int = self._stream.readinto1(view)
            return count
        return self._counted(self._stream.readinto1(view[: self._left])) if self._left else 0

    def _splice(self, pipe: int, most: int) -> int:
        left = self._left or 0
        return self._counted(self._stream.raw._sock.splice(pipe, min(most, left))) if left else 0

    def _counted(self, count: int) -> int:
        self._left = (self._left or 0) - count
        if count == 0:
            raise BrokenOffError(f"the connection ended with {self._left} bytes to come")
        return count


class Chunked(Framed):
    """A body in chunks; http.client reads their framing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def _read(self, view: memoryview) -> int:
        data = self._inner.read1(len(view))
        view[: len(data)] = data
        return len(data)


class Decoded(Framed):
    """A body with its gzip or deflate coding undone, a bounded piece at a time."""

    def __init__(self, coded: Framed, coding: str) -> None:
        self._coded = coded
        self._coding = coding
        self._buffer = memoryview(bytearray(_CODED_BYTES))
        self._engine = self._new_engine()
        self._waiting = b""
        self._is_full = False  # the last piece filled its view: the engine may hold more, without further input
        self._has_begun = False

    def _new_engine(self) -> Any:
        return zlib.decompressobj(zlib.MAX_WBITS if self._coding == "deflate" else 16 + zlib.MAX_WBITS)

    def _read(self, view: memoryview) -> int:
        while True:
            if not self._waiting and not self._is_full and not self._refill():
                return 0
            data = self._decompress(len(view))
            self._is_full = len(data) == len(view)
            if data:
                view[: len(data)] = data
                return len(data)

    def _refill(self) -> bool:
        count = self._coded.readinto(self._buffer)
        if count == 0 and self._has_begun and not self._engine.eof:
            raise BrokenOffError("the encoded file ended too early")
        self._waiting = bytes(self._buffer[:count])
        return count > 0

    def _decompress(self, most: int) -> bytes:
        if self._engine.eof and self._waiting:
            self._engine = self._new_engine()  # another member of the same gzip stream
        try:
            data: bytes = self._engine.decompress(self._waiting, most)
        except zlib.error as error:
            if self._has_begun or self._coding != "deflate":
                raise UnexpectedContentError(f"the {self._coding} encoding of the file is damaged") from error
            # Some servers leave out the zlib wrapper that RFC 9110, 8.4.1.2 asks for.
            self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
            data = self._engine.decompress(self._waiting, most)
        self._has_begun = True
        self._waiting = self._engine.unconsumed_tail or self._engine.unused_data
        return data


def _reason(error: Exception) -> str:
    if isinstance(error, IncompleteRead):
        return "the connection ended within a chunk"
    if isinstance(error, TimeoutError):
        return "no data came for too long"
    return f"the connection broke: {error}"
