"""The name that a server gives to a file, made safe to use in a folder."""

import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import requests

_LONGEST_BYTES: Final = 200
_DEFAULT: Final = "download"
# RFC 6266, 4.1: filename*=charset'language'percent-encoded, filename=token or quoted string.
_EXTENDED: Final = re.compile(r"""(?:^|;)\s*filename\*\s*=\s*"?([\w.-]*)'[^']*'([^;"\s]+)""", re.IGNORECASE)
_PLAIN: Final = re.compile(r"""(?:^|;)\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]+))""", re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def offered_name(answer: requests.Response) -> str:
    """Return the name of the file that an answer brings, from Content-Disposition or else its URL."""
    return safe_name(_disposed(answer.headers.get("Content-Disposition", ""))) or url_name(answer.url) or _DEFAULT


def url_name(url: str) -> str:
    """Return the last part of a URL's path as a file name; empty if there is none."""
    return safe_name(unquote(urlsplit(url).path.rpartition("/")[2], errors="replace"))


def safe_name(offered: str) -> str:
    """Return the last part of a name without what could lead elsewhere or cannot be stored; empty if nothing is left.

    Never hidden, never a device of Windows, at most 200 bytes of UTF-8, the extension kept.
    """
    last = offered.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last)
    name = plain.encode("utf-8", "replace").decode().strip(". ")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _shortened(name)


def _disposed(header: str) -> str:
    if found := _EXTENDED.search(header):
        charset = found[1].lower()
        if charset in _CHARSETS:
            return unquote(found[2], encoding=charset, errors="replace")
    if found := _PLAIN.search(header):
        quoted, token = found[1], found[2]
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token.strip()
        return _as_utf8(text)
    return ""


def _as_utf8(text: str) -> str:
    """Read as UTF-8 what http.client has read as Latin-1, where that is possible; browsers do so too."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _shortened(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > _LONGEST_BYTES // 4:
        suffix = ""
    stem = name.removesuffix(suffix).encode()[: _LONGEST_BYTES - len(suffix.encode())].decode(errors="ignore")
    return stem + suffix
