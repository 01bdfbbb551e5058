"""WebVTT segments: the file's form, its cues, and the clock that X-TIMESTAMP-MAP ties them to (section 3.1.4)."""

import re
from dataclasses import dataclass

_TICKS_PER_S = 90_000
_WRAP = 1 << 33
_STAMP = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_MOMENT = re.compile(_STAMP)
_TIMING = re.compile(rf"{_STAMP}[ \t]+-->[ \t]+{_STAMP}([ \t]+\S.*)?")
_MAP = re.compile(r"X-TIMESTAMP-MAP=(.*)")


@dataclass(frozen=True, slots=True)
class Text:
    """A WebVTT file; cues are seconds on its own clock, `offset_s` leads from that to the media's."""

    cues: tuple[tuple[float, float], ...]
    has_map: bool
    offset_s: float
    problems: tuple[str, ...]


def read_text(text: str) -> Text:
    """Read a segment; what is wrong with it is told with the line."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problems: list[str] = []
    if not re.fullmatch(r"WEBVTT([ \t].*)?", lines[0]):
        problems.append("line 1 is not WEBVTT")
    head_end = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    maps = [match[1] for line in lines[1:head_end] if (match := _MAP.fullmatch(line.strip()))]
    if any("X-TIMESTAMP-MAP" in line for line in lines[head_end:]):
        problems.append("X-TIMESTAMP-MAP stands after the header")
    offset = _offset(maps[0]) if maps else 0.0
    if offset is None:
        problems.append(f"X-TIMESTAMP-MAP={maps[0]} cannot be read")
    cues = _cues(lines, head_end, problems)
    return Text(tuple(cues), bool(maps), offset or 0.0, tuple(problems))


def _cues(lines: list[str], head_end: int, problems: list[str]) -> list[tuple[float, float]]:
    cues: list[tuple[float, float]] = []
    for number, line in enumerate(lines[head_end:], head_end + 1):
        if "-->" not in line:
            continue
        timing = _TIMING.fullmatch(line.strip())
        if timing is None:
            problems.append(f"line {number} is no timing of a cue: {line.strip()[:60]!r}")
            continue
        start, end = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:8])
        if end <= start:
            problems.append(f"the cue of line {number} ends before it begins")
        elif cues and start < cues[-1][0]:
            problems.append(f"the cue of line {number} begins before the one above it")
        cues.append((start, end))
    return cues


def _offset(text: str) -> float | None:
    """Return seconds from the cues' clock to the media's, of `MPEGTS:900000,LOCAL:00:00:00.000` in any order."""
    fields = dict(part.partition(":")[::2] for part in text.split(",", 1))
    local = _MOMENT.fullmatch(fields.get("LOCAL", "").strip())
    ticks = fields.get("MPEGTS", "").strip()
    if local is None or not re.fullmatch(r"[0-9]{1,10}", ticks) or int(ticks) >= _WRAP:
        return None
    return int(ticks) / _TICKS_PER_S - _seconds(local.groups())


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, millis = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + millis / 1000
