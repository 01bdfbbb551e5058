"""Linking: puts before each script the shared definitions that it uses, and no others.

Redis runs a script from its first line at every call. Making all the functions of the parts costs more than most
transitions themselves; and a Lua chunk may have 200 local names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_COMMENT: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)
_BEGINNING: Final = re.compile(r"^(?=local )", re.MULTILINE)
_NAMES: Final = re.compile(r"local (?:function (\w+)|(\w+(?:, \w+)*) *=)")


@dataclass(frozen=True, slots=True)
class _Definition:
    """A definition at the top level of a part: the names that it makes, its code, and every word in it."""

    names: frozenset[str]
    code: str
    words: frozenset[str]


def link(shared: str, scripts: Mapping[str, str]) -> dict[str, str]:
    """Return the scripts, each after those of the definitions in `shared` that it uses, directly or through others."""
    definitions = _definitions(shared)
    return {name: _needed(definitions, script) + script for name, script in scripts.items()}


def _definitions(shared: str) -> list[_Definition]:
    before, *codes = _BEGINNING.split(_COMMENT.sub("", shared))
    if before.strip():
        raise ValueError(f"a part has to begin with a local definition, not with {before.strip()[:40]!r}")
    return [_definition(code) for code in codes]


def _definition(code: str) -> _Definition:
    named = _NAMES.match(code)
    if named is None:
        raise ValueError(f"no definition that can be linked: {code[:40]!r}")
    names = frozenset((named[1] or named[2]).split(", "))
    return _Definition(names, code, frozenset(_WORD.findall(code)))


def _needed(definitions: list[_Definition], script: str) -> str:
    """Return the code of the definitions that a script needs; each may use only those before it."""
    wanted = set(_WORD.findall(_COMMENT.sub("", script)))
    kept: list[str] = []
    for definition in reversed(definitions):
        if wanted & definition.names:
            kept.append(definition.code)
            wanted |= definition.words
    return "".join(reversed(kept))
