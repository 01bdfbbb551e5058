"""Headers that callers may have sent with a request."""

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")
# They frame the message or choose another host than the one that was checked.
_FRAMING: Final = frozenset(
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]
)


def check_headers(headers: dict[str, str], *, also_ours: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers; raises ValueError naming the first that cannot be sent or that the platform sets.

    A value is never repeated: it may be a secret.
    """
    ours = _FRAMING | frozenset(also_ours)
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if not is_header_value(value):
            raise ValueError(f"the value of {name} has characters that a header cannot carry")
        if name.lower() in ours or name.lower().startswith("proxy-"):
            raise ValueError(f"{name} is set by the platform")
    return headers


def is_header_value(text: str) -> bool:
    """Whether a header can carry the text."""
    return _VALUE.fullmatch(text) is not None
