"""A master playlist as its variants and renditions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workplatform.hls_check.attributes import AttributeList
from workplatform.hls_check.entries import Entry, TagLine, UriLine, tags_of
from workplatform.hls_check.findings import Findings, Place


@dataclass(frozen=True, slots=True)
class Variant:
    """A combination of renditions that plays together, or with `is_iframes` its pictures for trick play."""

    line: int
    uri: str
    attributes: AttributeList
    is_iframes: bool = False

    @property
    def codecs(self) -> list[str]:
        """The names in CODECS."""
        return [name.strip() for name in (self.attributes.text("CODECS") or "").split(",") if name.strip()]


@dataclass(frozen=True, slots=True)
class Rendition:
    """One of the alternatives of a group; without a URI its media is in the variants' own segments."""

    line: int
    type: str
    group: str
    uri: str | None
    attributes: AttributeList

    @property
    def is_default(self) -> bool:
        """Whether it plays unless the viewer chose another."""
        return self.attributes.text("DEFAULT") == "YES"


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """A master playlist; `file` is its name from the checked folder, `groups` are by their type and name."""

    file: str
    tags: Sequence[TagLine]
    variants: Sequence[Variant]
    iframes: Sequence[Variant]
    renditions: Sequence[Rendition]
    groups: Mapping[tuple[str, str], Sequence[Rendition]]

    def has(self, name: str) -> bool:
        """Whether it has a tag of this name."""
        return any(tag.name == name for tag in self.tags)

    def group(self, type_: str, name: str | None) -> Sequence[Rendition]:
        """Return the renditions of a group."""
        return self.groups.get((type_, name), ()) if name is not None else ()

    def place(self, line: int | None = None) -> Place:
        """Return a place in it."""
        return Place(self.file, line)


def read_master(file: str, entries: Sequence[Entry], findings: Findings) -> MasterPlaylist:
    """Put the entries of a master playlist together."""
    variants: list[Variant] = []
    waiting: TagLine | None = None
    for entry in entries:
        if isinstance(entry, UriLine):
            if waiting is None:
                findings.add("variant-uri", Place(file, entry.line), f"no #EXT-X-STREAM-INF stands before {entry.uri}")
            else:
                variants.append(Variant(entry.line, entry.uri, waiting.attributes))
            waiting = None
        elif waiting is not None or entry.name == "EXT-X-STREAM-INF":
            if waiting is not None:
                findings.add("variant-uri", Place(file, waiting.line), "no URI follows this #EXT-X-STREAM-INF")
            waiting = entry if entry.name == "EXT-X-STREAM-INF" else None
    if waiting is not None:
        findings.add("variant-uri", Place(file, waiting.line), "no URI follows this #EXT-X-STREAM-INF")
    tags = tags_of(entries)
    renditions = _renditions(tags)
    groups: dict[tuple[str, str], list[Rendition]] = defaultdict(list)
    for rendition in renditions:
        groups[rendition.type, rendition.group].append(rendition)
    return MasterPlaylist(file, tags, variants, _iframes(tags), renditions, groups)


def _iframes(tags: Sequence[TagLine]) -> list[Variant]:
    return [
        Variant(tag.line, tag.attributes.text("URI") or "", tag.attributes, is_iframes=True)
        for tag in tags
        if tag.name == "EXT-X-I-FRAME-STREAM-INF" and tag.attributes.text("URI")
    ]


def _renditions(tags: Sequence[TagLine]) -> list[Rendition]:
    return [
        Rendition(
            line=tag.line,
            type=tag.attributes.text("TYPE") or "",
            group=tag.attributes.text("GROUP-ID") or "",
            uri=tag.attributes.text("URI"),
            attributes=tag.attributes,
        )
        for tag in tags
        if tag.name == "EXT-X-MEDIA"
    ]
