"""Reads WebVTT as a player does (W3C WebVTT, section 4), without any code of the handler."""

import re
from dataclasses import dataclass
from pathlib import Path

_TIMES = re.compile(
    r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})((?: [a-z]+:\S+)*)"
)
_MAP = re.compile(r"X-TIMESTAMP-MAP=LOCAL:00:00:00\.000,MPEGTS:(\d+)")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


@dataclass(frozen=True, order=True)
class Shown:
    """A cue: seconds, the text without tags, its styles as `tag:text`, its settings."""

    start_s: float
    end_s: float
    text: str
    styles: tuple[str, ...] = ()
    settings: str = ""


def read_webvtt(path: Path) -> tuple[int, list[Shown]]:
    """Return what the clock says at local zero, and the cues; fails where the file is not as it has to be."""
    content = path.read_bytes().decode("utf-8")
    assert "\r" not in content and "\0" not in content
    header, *blocks = re.split(r"\n{2,}", content.rstrip("\n"))
    signature, mapping = header.split("\n")
    assert signature == "WEBVTT"
    clock = _MAP.fullmatch(mapping)
    assert clock, mapping
    return int(clock[1]), [_cue(block.strip("\n")) for block in blocks]


def _cue(block: str) -> Shown:
    timing, *lines = block.split("\n")
    match = _TIMES.fullmatch(timing)
    assert match, timing
    assert lines and all(lines) and "-->" not in "".join(lines)
    start_s, end_s = (_seconds(match.groups()[place : place + 4]) for place in (0, 4))
    assert start_s < end_s
    text, styles = _read_text("\n".join(lines))
    return Shown(start_s, end_s, text, styles, match[9].strip())


def _seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds, milliseconds = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _read_text(text: str) -> tuple[str, tuple[str, ...]]:
    plain, styles = "", []
    open_tags: list[tuple[str, int]] = []
    for token in re.findall(r"<[^>]*>|&[^;\s]*;|[^<&]|.", text, re.DOTALL):
        if token.startswith("</"):
            tag, begin = open_tags.pop()
            assert token == f"</{tag}>", "tags are closed in the order of their opening"
            styles.append(f"{tag}:{plain[begin:]}")
        elif token.startswith("<"):
            assert re.fullmatch("<[biu]>", token), token
            open_tags.append((token[1], len(plain)))
        elif token.startswith("&"):
            plain += _ENTITIES[token]
        else:
            plain += token
    assert not open_tags
    return plain, tuple(styles)
