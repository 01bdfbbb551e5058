"""What kind of content came, told from its type and its first bytes, and whether it is the kind that was wanted."""

import html
import mimetypes
import re
from fnmatch import fnmatchcase
from typing import Final

from workplatform.errors import UnexpectedContentError

# Enough for the title of a page; for every signature a little is enough.
HEAD_BYTES: Final = 64 * 1024
_SIGNATURE_BYTES: Final = 512

# Both in linear time, whatever a server sends: a match holds up the whole worker, and cannot be interrupted.
_TITLE: Final = re.compile(rb"<title[^<>]*>([^<]*)", re.IGNORECASE)
_LONGEST_TITLE: Final = 120
_PAGE: Final = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*+<(!doctype\s+html|html|head|body)\b", re.I | re.DOTALL)
_PAGE_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_UNKNOWN: Final = "application/octet-stream"
_ANYTHING: Final = frozenset({"", _UNKNOWN, "binary/octet-stream", "application/force-download"})
_BASE_MEDIA: Final = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"qt  ": "video/quicktime"}
# Formats of many names: documents, programs and books are zip files.
_CONTAINERS: Final = frozenset({"application/zip", "application/gzip"})
_SIGNATURES: Final = (
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"WAVE", "audio/wav"),
    (8, b"WEBP", "image/webp"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
)


def require_kind(head: bytes, *, said: str, expected: str | None, name: str) -> str:
    """Return the media type of a body by its first bytes and the Content-Type that came with it.

    `expected` is a pattern such as `video/*`; without one the extension of `name` decides, and only a web page in the
    place of something else is refused. Raises UnexpectedContentError.
    """
    kind = said.partition(";")[0].strip().lower()
    by_name = mimetypes.guess_type(name)[0] or ""
    shown = _kind_by_signature(head)
    wanted = (expected or by_name).lower()
    is_page = bool(_PAGE.match(head)) or (kind in _PAGE_TYPES and shown is None)
    if is_page and wanted and not _allows_page(wanted):
        raise UnexpectedContentError(_page_sentence(head), is_page=True)
    if not head and wanted and not wanted.startswith("text/"):
        raise UnexpectedContentError("got nothing: the file is empty")
    evidence = {one for one in (kind, shown or "") if one not in _ANYTHING}
    if shown in _CONTAINERS:
        evidence.add(by_name)
    if expected and evidence and not any(is_kind(one, expected) for one in evidence):
        raise UnexpectedContentError(f"got {kind if kind not in _ANYTHING else shown}, not {expected}")
    return next(one for one in (kind, shown or "", by_name, _UNKNOWN) if one not in _ANYTHING or one == _UNKNOWN)


def needs_more(head: bytes) -> bool:
    """Whether more of the first bytes would tell more."""
    if len(head) < _SIGNATURE_BYTES:
        return True
    return _PAGE.match(head) is not None and b"</title" not in head.lower()


def is_kind(kind: str, pattern: str) -> bool:
    """Whether a media type fits a pattern such as `video/*` or `image/png, image/jpeg`."""
    return any(fnmatchcase(kind, one.strip().lower()) for one in pattern.split(","))


def page_title(head: bytes) -> str:
    """Return the title of a web page by its first bytes; empty if it has none."""
    found = _TITLE.search(head)
    if found is None:
        return ""
    text = " ".join(html.unescape(found[1].decode("utf-8", "replace")).split())
    return "".join(character for character in text if character.isprintable())[:_LONGEST_TITLE]


def _allows_page(wanted: str) -> bool:
    return any(is_kind(page, wanted) for page in _PAGE_TYPES) or "xml" in wanted


def _page_sentence(head: bytes) -> str:
    title = page_title(head)
    return f"got a web page: {title!r}" if title else "got a web page"


def _kind_by_signature(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _BASE_MEDIA.get(head[8:12], "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind
    return None
