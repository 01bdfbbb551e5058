"""A media playlist as its segments, each with all that applies to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from workplatform.hls_check.attributes import AttributeList
from workplatform.hls_check.entries import Entry, TagLine, UriLine, tags_of
from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.tags import TAGS


class ByteRange(NamedTuple):
    """A part of a file."""

    length: int
    offset: int


@dataclass(frozen=True, slots=True)
class Key:
    """How segments are encrypted; `iv` is None where the media sequence number counts."""

    line: int
    method: str
    uri: str | None
    iv: bytes | None
    key_format: str

    @property
    def is_identity(self) -> bool:
        """Whether the key file holds the key itself."""
        return self.key_format == "identity"


@dataclass(frozen=True, slots=True)
class Initialization:
    """The part of a file that has to be read before a segment (EXT-X-MAP)."""

    line: int
    uri: str
    range: ByteRange | None
    key: Key | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of a media playlist; `sequence` is its media sequence number."""

    line: int
    uri: str
    duration_s: float
    sequence: int
    range: ByteRange | None
    key: Key | None
    map: Initialization | None
    starts_anew: bool
    is_gap: bool
    date: str | None
    bitrate_kbps: int | None


@dataclass(frozen=True)
class MediaPlaylist:
    """A media playlist; `file` is its name from the checked folder."""

    file: str
    tags: Sequence[TagLine]
    segments: Sequence[Segment]

    def tag(self, name: str) -> TagLine | None:
        """Return the first tag of a name."""
        return self._firsts.get(name)

    @cached_property
    def _firsts(self) -> dict[str, TagLine]:
        return {tag.name: tag for tag in reversed(self.tags)}

    def has(self, name: str) -> bool:
        """Whether it has a tag of this name."""
        return self.tag(name) is not None

    @property
    def target_s(self) -> int | None:
        """The target duration."""
        tag = self.tag("EXT-X-TARGETDURATION")
        return int(tag.value) if tag else None

    @property
    def duration_s(self) -> float:
        """What its segments are long together, as it says."""
        return sum(segment.duration_s for segment in self.segments)

    @property
    def is_iframes_only(self) -> bool:
        """Whether its entries are single pictures for trick play."""
        return self.has("EXT-X-I-FRAMES-ONLY")

    def place(self, line: int | None = None) -> Place:
        """Return a place in it."""
        return Place(self.file, line)


def read_media(file: str, entries: Sequence[Entry], findings: Findings) -> MediaPlaylist:
    """Put the entries of a media playlist together."""
    builder = _Builder(file, findings)
    for entry in entries:
        builder.take(entry)
    builder.end()
    return MediaPlaylist(file, tags_of(entries), builder.segments)


@dataclass(slots=True)
class _Builder:
    file: str
    findings: Findings
    segments: list[Segment] = field(default_factory=list)
    _first_sequence: int = 0
    _pending: dict[str, TagLine] = field(default_factory=dict)
    _key: Key | None = None
    _map: Initialization | None = None
    _bitrate: int | None = None
    _range_ends: tuple[str, int] | None = None
    _is_begun: bool = False

    def take(self, entry: Entry) -> None:
        if isinstance(entry, UriLine):
            self._segment(entry)
        elif entry.name == "EXT-X-MEDIA-SEQUENCE":
            self._first_sequence = int(entry.value)
        elif entry.name == "EXT-X-KEY":
            self._take_key(entry)
        elif entry.name == "EXT-X-MAP":
            self._take_map(entry)
        elif entry.name == "EXT-X-BITRATE":
            self._bitrate = int(entry.value)
        elif entry.name == "EXT-X-PART":
            self._is_begun = True
        elif TAGS[entry.name].scope == "segment":
            if entry.name in self._pending:
                self._add("segment-tags", entry.line, f"#{entry.name} is here twice for one segment")
            self._pending[entry.name] = entry

    def end(self) -> None:
        if self._is_begun:  # the segment is to come, its first parts are there
            return
        for name, tag in self._pending.items():
            self._add("segment-tags", tag.line, f"no segment follows #{name}")

    def _take_key(self, tag: TagLine) -> None:
        key = _key(tag.attributes, tag.line)
        if key.method == "NONE":
            self._key = None
        elif key.is_identity or self._key is None or not self._key.is_identity:
            self._key = key

    def _take_map(self, tag: TagLine) -> None:
        uri, text = tag.attributes.text("URI"), tag.attributes.text("BYTERANGE")
        if uri is None:
            return
        range_ = None
        if text is not None:
            length, _, offset = text.partition("@")
            if not length.isdecimal() or not (offset or "0").isdecimal():
                self._add("attribute-value", tag.line, "BYTERANGE of #EXT-X-MAP is not of the form n@o")
            else:
                range_ = ByteRange(int(length), int(offset or 0))
        self._map = Initialization(tag.line, uri, range_, self._key)

    def _segment(self, entry: UriLine) -> None:
        pending, self._pending, self._is_begun = self._pending, {}, False
        duration = pending.get("EXTINF")
        if duration is None:
            self._add("extinf-missing", entry.line, f"{entry.uri} has no #EXTINF before it")
        date, range_ = pending.get("EXT-X-PROGRAM-DATE-TIME"), pending.get("EXT-X-BYTERANGE")
        self.segments.append(
            Segment(
                line=entry.line,
                uri=entry.uri,
                duration_s=float(duration.value.partition(",")[0]) if duration else 0.0,
                sequence=self._first_sequence + len(self.segments),
                range=self._range(range_, entry.uri) if range_ else None,
                key=self._key,
                map=self._map,
                starts_anew="EXT-X-DISCONTINUITY" in pending,
                is_gap="EXT-X-GAP" in pending,
                date=date.value if date else None,
                bitrate_kbps=None if range_ else self._bitrate,
            )
        )
        if range_ is None:
            self._range_ends = None

    def _range(self, tag: TagLine, uri: str) -> ByteRange:
        length, _, offset = tag.value.partition("@")
        start = int(offset) if offset else 0
        if not offset:
            if self._range_ends is None or self._range_ends[0] != uri:
                self._add("byterange-offset", tag.line, f"the range has no offset, and none of {uri} ends before it")
            else:
                start = self._range_ends[1]
        self._range_ends = uri, start + int(length)
        return ByteRange(int(length), start)

    def _add(self, rule: str, line: int, message: str) -> None:
        self.findings.add(rule, Place(self.file, line), message)


def _key(attributes: AttributeList, line: int) -> Key:
    iv = attributes.raw.get("IV", "")[2:]
    try:
        number = int(iv, 16).to_bytes(16, "big") if iv else None
    except (ValueError, OverflowError):
        number = None
    return Key(
        line=line,
        method=attributes.text("METHOD") or "NONE",
        uri=attributes.text("URI"),
        iv=number,
        key_format=attributes.text("KEYFORMAT") or "identity",
    )
