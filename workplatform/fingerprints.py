"""Fingerprints: what failures that are alike have in common, though each names its own file, number or address."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

LONGEST: Final = 300
_READ: Final = 2000
_PASSES: Final = 100
_FILES: Final = (
    "aac|avif|avi|flac|gif|heic|jpeg|jpg|json|m3u8|m4a|m4s|m4v|mkv|mov|mp3|mp4|mpg|ogg|opus|pdf|png|srt|svg|tar|tiff?|"
    "ts|txt|vtt|wav|webm|webp|zip"
)
# One pass, the leftmost wins; of those that begin at one place the first.
_VARIABLE: Final = re.compile(
    r"(?P<kept><(?:url|text|path|id|hex|n)>)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'`<>]+)"
    r"|(?P<text>(?<!\w)(?:'[^'\n]{0,500}'|\"[^\"\n]{0,500}\"|`[^`\n]{0,500}`)(?!\w))"
    r"|(?P<path>[\w.~@%+-]*/[\w.~@%+/-]*\w[\w.~@%+/-]*|\b[\w@%+-]+\.(?:" + _FILES + r")\b)"
    r"|(?P<id>\b[a-z]{1,8}_[0-9A-HJKMNP-TV-Z]{26}\b|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}\b)"
    r"|(?P<n>\d+(?:[.,:]\d+)*)"
)
_SPACE: Final = re.compile(r"\s+")


def normal_form(message: str) -> str:
    """Return a message with all that varies named by its kind, in at most LONGEST characters.

    The normal form of a normal form is itself.
    """
    form = _SPACE.sub(" ", message[:_READ]).strip()
    for _ in range(_PASSES):
        # What was replaced may have stood before or after something that can be told only now.
        shorter = _VARIABLE.sub(lambda found: f"<{found.lastgroup}>" if found["kept"] is None else found[0], form)
        shorter = shorter[:LONGEST].rstrip()
        if shorter == form:
            break
        form = shorter
    return form


def fingerprint(job_type: str, code: str, message: str) -> str:
    """Return 12 hexadecimal digits that failures of a type with the same code and normal form share."""
    words = "\0".join((job_type, code, normal_form(message)))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:12]


def kept_error(job_type: str, facts: Mapping[str, Any], spec: Mapping[str, Any]) -> bytes:
    """Return the JSON that a record keeps of an error that `describe` has told; `spec` is what was submitted."""
    found = fingerprint(job_type, facts["code"], facts["message"])
    return orjson.dumps({**facts, "fingerprint": found, "tags": spec.get("tags", ())})
