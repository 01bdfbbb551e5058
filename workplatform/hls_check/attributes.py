"""Attribute lists of playlist tags: their grammar and the types of their values (RFC 8216bis, section 4.2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"[A-Z0-9-]+")
_VALUE = re.compile(r'"[^"]*"|[^",\s]+')
_LARGEST = 2**64
_FORMS = {
    "integer": re.compile(r"[0-9]{1,20}"),
    "hex": re.compile(r"0[xX][0-9A-Fa-f]+"),
    "float": re.compile(r"[0-9]+(\.[0-9]+)?"),
    "signed": re.compile(r"-?[0-9]+(\.[0-9]+)?"),
    "string": re.compile(r'"[^"]*"'),
    "word": re.compile(r'[^",\s]+'),
    "string or word": re.compile(r'"[^"]*"|[^",\s]+'),
    "resolution": re.compile(r"[1-9][0-9]{0,9}x[1-9][0-9]{0,9}"),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an attribute may be: a type of section 4.2, and for words the ones allowed."""

    type: str
    required: bool = False
    words: tuple[str, ...] = ()

    def problem(self, value: str) -> str | None:
        """Say what is wrong with a value as it is written, if something is."""
        if not _FORMS[self.type].fullmatch(value):
            return f"is not of the form '{self.type}'"
        if self.type == "integer" and int(value) >= _LARGEST:
            return "is too large"
        if self.words and value not in self.words:
            return f"is none of {', '.join(self.words)}"
        return None


@dataclass(frozen=True, slots=True)
class AttributeList:
    """The attributes of a tag as written, and what is wrong with their grammar."""

    raw: Mapping[str, str]
    problems: Sequence[str] = ()

    def text(self, name: str) -> str | None:
        """Return a value without its quotes."""
        value = self.raw.get(name)
        return None if value is None else value.strip('"')

    def integer(self, name: str) -> int | None:
        """Return a whole number, None if it is missing or none."""
        value = self.raw.get(name, "")
        return int(value) if _FORMS["integer"].fullmatch(value) else None

    def number(self, name: str) -> float | None:
        """Return a number, None if it is missing or none."""
        value = self.raw.get(name, "")
        return float(value) if _FORMS["signed"].fullmatch(value) else None

    def resolution(self) -> tuple[int, int] | None:
        """Return width and height of RESOLUTION."""
        value = self.raw.get("RESOLUTION", "")
        if not _FORMS["resolution"].fullmatch(value):
            return None
        width, _, height = value.partition("x")
        return int(width), int(height)


def read_attributes(text: str) -> AttributeList:
    """Read an attribute list; after a break of its grammar the rest is left out."""
    raw: dict[str, str] = {}
    problems: list[str] = []
    at = 0
    while at < len(text):
        name = _NAME.match(text, at)
        value = _VALUE.match(text, name.end() + 1) if name and text[name.end() : name.end() + 1] == "=" else None
        if name is None or value is None or text[value.end() : value.end() + 1] not in ("", ","):
            problems.append(f"cannot be read from {text[at : at + 40]!r} on")
            break
        if name[0] in raw:
            problems.append(f"has {name[0]} twice")
        raw[name[0]] = value[0]
        at = value.end() + 1
        if at == len(text):
            problems.append("ends with a comma")
    return AttributeList(raw, tuple(problems))
