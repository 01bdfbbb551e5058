"""URIs of files: which kind of place one names, and what a person may be shown of it."""

import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from workplatform.errors import BadInputError

S3_SCHEME: Final = "s3://"
_HTTP_SCHEMES: Final = ("http://", "https://")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_KEY_BYTES: Final = 1024
_UNTYPED: Final = "application/octet-stream"
# What browsers and players insist on, and what many systems' tables lack.
_TYPES: Final = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class S3Place:
    """An object, or the common beginning of several, in a bucket."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The place as payloads write it."""
        return f"{S3_SCHEME}{self.bucket}/{self.key}"

    def below(self, name: str) -> "S3Place":
        """Return the place of a file in this folder."""
        return S3Place(self.bucket, f"{self.key}/{name}")


def is_s3(uri: str) -> bool:
    """Whether a URI names an object in a store."""
    return uri[: len(S3_SCHEME)].lower() == S3_SCHEME


def is_http(uri: str) -> bool:
    """Whether a URI is to be fetched over HTTP."""
    return uri.lower().startswith(_HTTP_SCHEMES)


def s3_place(uri: str) -> S3Place:
    """Read `s3://bucket/key`; a slash at the end is dropped.

    Raises BadInputError unless it names a bucket and, in it, a key that no proxy or client could read as another one.
    """
    bucket, _, key = uri[len(S3_SCHEME) :].partition("/")
    key = key.rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        raise BadInputError(f"{uri} names no bucket: it must look like s3://bucket/key")
    if not key:
        raise BadInputError(f"{uri} names a whole bucket; name something inside it, as s3://bucket/key")
    if len(key.encode("utf-8", "replace")) > _LONGEST_KEY_BYTES:
        raise BadInputError(f"the key in {uri[:80]}... is longer than {_LONGEST_KEY_BYTES} bytes")
    if not key.isprintable() or any(part in ("", ".", "..") for part in key.split("/")):
        raise BadInputError(f"{uri!r} must not hold control characters, empty parts, '.' or '..' parts")
    return S3Place(bucket, key)


def file_name(uri: str) -> str:
    """Return the last part of a path or URI, without the query of a URL: it may hold a signature."""
    return PurePosixPath(unquote(urlsplit(uri).path) if is_http(uri) else uri).name


def shown(uri: str) -> str:
    """Return a URI as errors and logs may show it: a URL without its query."""
    if not is_http(uri):
        return uri
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def content_type(name: str) -> str:
    """Return the media type that a file's extension stands for."""
    return _TYPES.get(PurePosixPath(name).suffix.lower()) or mimetypes.guess_type(name)[0] or _UNTYPED
