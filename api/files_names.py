"""The names of files on the wire: which are allowed, what type they tell, and how a browser must treat them."""

import mimetypes
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from werkzeug.routing import PathConverter

from api.answers import Header
from api.problems import RequestError

Parts = tuple[str, ...]

FILES: Final = "/api/files"

_LONGEST_PART_BYTES: Final = 255
_LONGEST_NAME_BYTES: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ufffd\\]|[\ud800-\udfff]")

# What the standard library does not know, or knows by another name on each machine.
_MORE_TYPES: Final = {
    ".avif": "image/avif",
    ".webp": "image/webp",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt",
    ".webm": "video/webm",
}
_COMPRESSED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_UNKNOWN: Final = "application/octet-stream"

# Shown by a browser at once; anything else, such as a page or a drawing with scripts, is only saved.
_SHOWN: Final = re.compile(r"(image/(?!svg)|video/|audio/|text/plain|text/vtt|application/vnd\.apple\.mpegurl)")
_POLICY: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"


class NameConverter(PathConverter):
    """Lets any name come as far as parts_of(), which says what is wrong with it."""

    regex = r"[\s\S]+"
    part_isolating = False


def parts_of(name: str, *, field: str = "path") -> Parts:
    """Split the name of a file into its folders and itself; raises RequestError (400) naming the field."""
    parts = tuple(name.split("/"))
    problem = _problem(name, parts)
    if problem:
        raise bad_name(f"{problem}", field=field)
    return parts


def bad_name(detail: str, *, field: str = "path", status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> RequestError:
    """Make the error for a name that cannot be used."""
    return RequestError(
        status, f"{field}: {detail}", code="bad_path", problems=[{"pointer": f"/{field}", "detail": detail}]
    )


def media_type(name: str) -> str:
    """Return the type that a file's name tells."""
    kind, encoding = _TYPES.guess_type(name.rpartition("/")[2], strict=False)
    if encoding:
        return _COMPRESSED.get(encoding, _UNKNOWN)
    return kind or _UNKNOWN


def file_url(name: str) -> str:
    """Return where a file of the uploads is found."""
    return f"{FILES}/{quote(name)}"


def output_url(job_id: str, name: str) -> str:
    """Return where an output of a job is found."""
    return f"/api/jobs/{job_id}/files/{quote(name)}"


def describing_headers(name: str) -> tuple[Header, ...]:
    """Return the headers that say what a file is, so that no browser runs it as a part of this site."""
    kind = media_type(name)
    last = name.rpartition("/")[2]
    plain = re.sub(r'[^ -~]|["\\%]', "_", last)
    spelled = "" if plain == last else f"; filename*=UTF-8''{quote(last, safe='')}"
    shown = "inline" if _SHOWN.match(kind) else "attachment"
    return (
        ("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind),
        ("Content-Disposition", f'{shown}; filename="{plain}"{spelled}'),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )


def _problem(name: str, parts: Parts) -> str:
    if not name:
        return "is empty"
    if _CONTROL.search(name):
        return "holds a backslash, a control character or what is not UTF-8"
    if len(name.encode()) > _LONGEST_NAME_BYTES or any(len(part.encode()) > _LONGEST_PART_BYTES for part in parts):
        return f"is longer than {_LONGEST_NAME_BYTES} bytes, or a part of it than {_LONGEST_PART_BYTES}"
    if not all(parts):
        return "begins or ends with a slash, or has two in a row"
    if hidden := next((part for part in parts if part.startswith(".")), None):
        return f"{hidden!r} begins with a dot; such names are reserved"
    return ""


def _types(more: Mapping[str, str]) -> mimetypes.MimeTypes:
    types = mimetypes.MimeTypes()
    for suffix, kind in more.items():
        types.add_type(kind, suffix)
    return types


_TYPES: Final = _types(_MORE_TYPES)
