"""A playlist's text as tags and URIs: encoding, grammar and variables (RFC 8216bis, sections 4.1 to 4.3)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from workplatform.hls_check.attributes import AttributeList, read_attributes
from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.tags import TAGS, Tag

_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_VARIABLE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")
_LONGEST_SUBSTITUTED = 10_000
_LINE_END = re.compile(r"\r\n|\n|\r")
_FORMS = {
    "none": re.compile(r""),
    "integer": re.compile(r"[0-9]{1,20}"),
    "extinf": re.compile(r"[0-9]{1,15}(\.[0-9]{1,30})?,.*"),
    "range": re.compile(r"[0-9]{1,20}(@[0-9]{1,20})?"),
    "date": re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?"),
    "type": re.compile(r"EVENT|VOD"),
}


@dataclass(frozen=True, slots=True)
class TagLine:
    """A line with a tag that is known."""

    line: int
    name: str
    value: str
    attributes: AttributeList = field(default_factory=lambda: AttributeList({}))


@dataclass(frozen=True, slots=True)
class UriLine:
    """A line that names a segment or a playlist."""

    line: int
    uri: str


Entry = TagLine | UriLine


@dataclass(slots=True)
class EntryReader:
    """Reads one playlist; `imported` are the variables that the master hands to it."""

    file: str
    findings: Findings
    imported: Mapping[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def read(self, data: bytes) -> list[Entry]:
        """Return the tags and URIs; unknown tags and comments are passed over."""
        lines = self._lines(data)
        if not lines or lines[0] != "#EXTM3U":
            self._add("extm3u-first", 1, "the first line is not #EXTM3U")
        return [entry for number, line in enumerate(lines, 1) if (entry := self._entry(number, line)) is not None]

    def _lines(self, data: bytes) -> list[str]:
        if data.startswith(b"\xef\xbb\xbf"):
            self._add("text-encoding", 1, "there is a byte order mark")
            data = data[3:]
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self._add("text-encoding", data[: error.start].count(b"\n") + 1, "this line is not UTF-8")
            text = data.decode(errors="replace")
        return _LINE_END.split(text)

    def _entry(self, number: int, line: str) -> Entry | None:
        if _CONTROL.search(line):
            self._add("text-encoding", number, "there are control characters in this line")
        if line != line.strip():
            self._add("stray-whitespace", number, "the line begins or ends with white space")
            line = line.strip()
        if line.startswith("#EXT"):
            return self._tag(number, line)
        return UriLine(number, self._substituted(number, line)) if line and not line.startswith("#") else None

    def _tag(self, number: int, line: str) -> TagLine | None:
        name, colon, value = line[1:].partition(":")
        tag = TAGS.get(name)
        if tag is None:
            return None
        if tag.once and name in self._seen:
            self._add("tag-twice", number, f"#{name} is here a second time")
        self._seen.add(name)
        if tag.value == "attributes":
            return self._with_attributes(number, name, value, tag)
        if not _FORMS[tag.value].fullmatch(value) or (colon and tag.value == "none"):
            self._add("tag-value", number, f"#{name} cannot have the value {_shown(value)}")
            return None
        return TagLine(number, name, value)

    def _with_attributes(self, number: int, name: str, value: str, tag: Tag) -> TagLine:
        found = read_attributes(value)
        for problem in found.problems:
            self._add("attribute-list", number, f"the list of #{name} {problem}")
        for key, attribute in tag.attributes.items():
            if key not in found.raw:
                if attribute.required:
                    self._add("attribute-missing", number, f"#{name} has no {key}")
            elif wrong := attribute.problem(found.raw[key]):
                self._add("attribute-value", number, f"{key}={_shown(found.raw[key])} of #{name} {wrong}")
        raw = {key: self._substituted(number, text) for key, text in found.raw.items()}
        line = TagLine(number, name, value, AttributeList(raw))
        if name == "EXT-X-DEFINE":
            self._define(line)
        return line

    def _define(self, tag: TagLine) -> None:
        text = tag.attributes.text
        name, value, imported = text("NAME"), text("VALUE"), text("IMPORT")
        if imported is not None and imported in self.imported:
            self.variables[imported] = self.imported[imported]
        elif imported is not None:
            self._add("variable", tag.line, f"the master playlist defines no {_shown(imported)}")
        elif name is not None and value is not None:
            if name in self.variables:
                self._add("variable", tag.line, f"{_shown(name)} is defined twice")
            self.variables[name] = value
        elif tag.attributes.text("QUERYPARAM") is None:
            self._add("variable", tag.line, "#EXT-X-DEFINE has neither NAME and VALUE nor IMPORT nor QUERYPARAM")

    def _substituted(self, number: int, text: str) -> str:
        room = _LONGEST_SUBSTITUTED

        def value_of(match: re.Match[str]) -> str:
            nonlocal room
            if match[1] not in self.variables:
                self._add("variable", number, f"{match[0]} is not defined before this line")
            value = self.variables.get(match[1], "")
            room -= len(value)
            if room < 0:  # variables within variables grow without end
                self._add("variable", number, f"{match[0]} makes this line longer than {_LONGEST_SUBSTITUTED} letters")
                return ""
            return value

        return _VARIABLE.sub(value_of, text)

    def _add(self, rule: str, number: int, message: str) -> None:
        self.findings.add(rule, Place(self.file, number), message)


def tags_of(entries: Iterable[Entry]) -> list[TagLine]:
    """Return the tags alone."""
    return [entry for entry in entries if isinstance(entry, TagLine)]


def is_master(entries: Iterable[Entry]) -> bool:
    """Whether any tag says that this is a master (multivariant) playlist."""
    return any(TAGS[tag.name].scope == "master" for tag in tags_of(entries))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
