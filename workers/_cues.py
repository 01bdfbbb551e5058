"""The texts of subtitle tracks, read from a video and written as WebVTT; reading runs in an isolated child."""

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from workers._video import open_video

# A text whose end the file does not tell is shown until the next one, at most this long.
_LONGEST_GUESS_S = 5.0
_UNKNOWN_MS = 0xFFFFFFFF
# A decoded line of Advanced SubStation Alpha is `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`.
_FIELDS_BEFORE_TEXT = 8
_TOKEN = re.compile(r"\\([Nnh{}])|\{([^{}]*)\}")
_OVERRIDE = re.compile(r"\\(?:(an|a|[ibup])(\d+)|(r))")
_ESCAPES = {"N": "\n", "n": "\n", "h": "\u00a0", "{": "{", "}": "}"}
_STYLES = "biu"
_BOLD_FROM = 700
_TOP = frozenset({"an7", "an8", "an9", "a5", "a6", "a7"})
# The decoder of WebVTT gives the place of a text beside it, and leaves the letters that are told by their numbers.
_PLACE: Final = "webvtt_settings"
_LINE = re.compile(r"(?:^|\s)line:(\d+)(?:\.\d+)?(%?)")
_NUMBERED_LETTER = re.compile(r"&#(?:\d{1,7}|[xX][0-9a-fA-F]{1,6});")
# Above the middle of the picture, which has some fifteen lines.
_TOP_LINES, _TOP_PERCENT = 8, 50
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Cue:
    """A text on the screen, as WebVTT writes it; seconds after the start of the file."""

    start_s: float
    end_s: float
    text: str
    is_on_top: bool = False


def read_cues(path: Path, name: str, indexes: Sequence[int]) -> list[list[Cue]]:
    """Return the cues of the streams with these numbers, in the order of their beginning.

    Raises BadInputError, naming the file as `name`.
    """
    with open_video(path, name, probe=True) as video:
        container = video.container
        streams = [container.streams[index] for index in indexes]
        for stream in container.streams:
            stream.discard = Discard.default if stream.index in indexes else Discard.all
        found: dict[int, list[Cue]] = {index: [] for index in indexes}
        for index, cue in _cues(container, [one for one in streams if isinstance(one, SubtitleStream)]):
            found[index].append(cue)
    return [_with_ends(found[index]) for index in indexes]


def _cues(container: InputContainer, streams: Sequence[SubtitleStream]) -> Iterable[tuple[int, Cue]]:
    """Decode what can be decoded; damage ends it, as it does for the picture."""
    decoders = {stream.index: stream.codec_context for stream in streams}
    zero_s = (container.start_time or 0) / av.time_base
    try:
        for packet in container.demux(streams):
            if not packet.size or packet.pts is None:
                continue
            start_s = float(packet.pts * packet.time_base) - zero_s
            length_s = float((packet.duration or 0) * packet.time_base)
            for cue in _decoded(packet, decoders[packet.stream_index]):
                end_s = cue.end_s or length_s
                yield packet.stream_index, replace(cue, start_s=start_s + cue.start_s, end_s=start_s + end_s)
    except av.FFmpegError:
        return


def _decoded(packet: "Packet[Any]", decoder: SubtitleCodecContext) -> Iterable[Cue]:
    """Return the texts of a packet with times after its own; an end of 0 is not known."""
    try:
        decoded = decoder.decode2(packet)
    except av.FFmpegError:
        return
    if decoded is None:
        return
    end_s = 0.0 if decoded.end_display_time == _UNKNOWN_MS else decoded.end_display_time / 1000
    is_placed_on_top = _is_on_top(packet)
    for line in decoded:
        if not isinstance(line, AssSubtitle):
            continue
        written = line.ass.decode("utf-8", "replace").split(",", _FIELDS_BEFORE_TEXT)[-1]
        if decoder.name == "webvtt":
            written = _NUMBERED_LETTER.sub(lambda letter: html.unescape(letter[0]), written)
        text, is_on_top = webvtt_text(written, is_styled=decoder.name in {"ass", "ssa"})
        if text:
            yield Cue(decoded.start_display_time / 1000, end_s, text, is_on_top or is_placed_on_top)


def _is_on_top(packet: "Packet[Any]") -> bool:
    """Whether a text of WebVTT is placed in the upper half of the picture."""
    if not packet.has_sidedata(_PLACE):
        return False
    line = _LINE.search(bytes(packet.get_sidedata(_PLACE)).decode("utf-8", "replace"))
    return line is not None and int(line[1]) < (_TOP_PERCENT if line[2] else _TOP_LINES)


def _with_ends(cues: Iterable[Cue]) -> list[Cue]:
    """Return the cues in order, each with an end after its beginning and none before the start of the file.

    In MP4, of texts that begin together, all but the last one last for a single tick: their ends are not known.
    """
    ordered = sorted(cues, key=lambda cue: (cue.start_s, cue.end_s))
    starts_ms = [_ms(cue.start_s) for cue in ordered]
    ended = []
    for cue, start_ms in zip(ordered, starts_ms, strict=True):
        end_s = cue.end_s
        if _ms(end_s) <= start_ms:
            following = bisect_right(starts_ms, start_ms)
            following_s = starts_ms[following] / 1000 if following < len(ordered) else float("inf")
            end_s = min(following_s, cue.start_s + _LONGEST_GUESS_S)
        if end_s > 0:
            ended.append(replace(cue, start_s=max(cue.start_s, 0.0), end_s=end_s))
    return ended


def _ms(seconds: float) -> int:
    """Return milliseconds, which is how WebVTT counts."""
    return round(seconds * 1000)


def webvtt_text(text: str, *, is_styled: bool) -> tuple[str, bool]:
    """Return a text of Advanced SubStation Alpha as WebVTT, and whether it belongs on top of the picture.

    Bold, italic and underlined stay; drawings and all other styling go. Braces without a command in them are comments
    where the track `is_styled`, else part of the text.
    """
    writer = _Writer()
    place, is_on_top = 0, False
    for token in _TOKEN.finditer(text):
        writer.add(text[place : token.start()])
        place = token.end()
        if token[1]:
            writer.add(_ESCAPES[token[1]])
        elif "\\" in token[2]:
            is_on_top |= writer.obey(token[2])
        elif not is_styled and token[2]:
            writer.add(token[0])
    writer.add(text[place:])
    return writer.finished(), is_on_top


class _Writer:
    """Puts WebVTT cue text together: escaped, with balanced tags, without lines that would end the cue."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._open: list[str] = []
        self._wanted: set[str] = set()
        self._is_drawing = False

    def add(self, text: str) -> None:
        """Append plain text, in the style that holds now."""
        shown = "".join(letter for letter in text if letter == "\n" or ord(letter) >= ord(" "))
        if not shown or self._is_drawing:
            return
        if set(self._open) != self._wanted:
            self._close()
            self._open = [style for style in _STYLES if style in self._wanted]
            self._parts += [f"<{style}>" for style in self._open]
        self._parts.append(shown.translate(_MARKUP))

    def obey(self, block: str) -> bool:
        """Follow the commands of one block; return whether it moves the text to the top."""
        is_on_top = False
        for name, value, reset in _OVERRIDE.findall(block):
            if reset:
                self._wanted.clear()
            elif name == "p":
                self._is_drawing = int(value) > 0
            elif name in _STYLES:
                is_on = int(value) == 1 or (name == "b" and int(value) >= _BOLD_FROM)
                (self._wanted.add if is_on else self._wanted.discard)(name)
            else:
                is_on_top |= f"{name}{value}" in _TOP
        return is_on_top

    def finished(self) -> str:
        """Return the cue text; empty if nothing is to be seen."""
        has_letters = any(part.strip() and not part.startswith("<") for part in self._parts)
        self._close()
        lines = [line.strip(" \t") for line in "".join(self._parts).split("\n")]
        return "\n".join(line for line in lines if line) if has_letters else ""

    def _close(self) -> None:
        self._parts += [f"</{style}>" for style in reversed(self._open)]
        self._open = []


def webvtt(cues: Iterable[Cue], header: str) -> str:
    """Return a WebVTT file; `header` are its first lines, each with its end.

    It ends in an empty line: some players read the files of a playlist as one.
    """
    return "\n".join([header, *(_block(cue) for cue in cues), ""])


def _block(cue: Cue) -> str:
    settings = " line:0" if cue.is_on_top else ""
    return f"{_clock(cue.start_s)} --> {_clock(cue.end_s)}{settings}\n{cue.text}\n"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(_ms(seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
