"""The documents as data: their code blocks, tables and links, and whether an answer is what they show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))

_BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CELLS = re.compile(r"(?<!\\)\|")
# These differ from run to run, and from Python to Python; that they are there, and of which kind, does not.
_CHANGING = frozenset(
    [
        "jobId",
        "nextCursor",
        "createdAt",
        "startedAt",
        "finishedAt",
        "seenAt",
        "at",
        "n",
        "next",
        "title",
        "savedBytes",
        "modifiedAt",
        "etag",
        "id",
        "name",
        "node",
        "host",
        "hosts",
        "blurhash",
    ]
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str


def text_of(document: str) -> str:
    """The document."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, *languages: str) -> list[Block]:
    """The blocks of a document, in order, of all languages or of those named."""
    found = [Block(match[1], match[2]) for match in _BLOCK.finditer(text_of(document))]
    return [block for block in found if not languages or block.language in languages]


def table(document: str, *head: str) -> list[list[str]]:
    """The rows of the first table whose head begins with these cells."""
    lines = iter(text_of(document).splitlines())
    for line in lines:
        if line.startswith("|") and _cells(line)[: len(head)] == list(head):
            next(lines)
            return list(_rows(lines))
    raise AssertionError(f"{document} has no table {head}")


def codes(cell: str) -> list[str]:
    """What a cell says in code."""
    return re.findall(r"`([^`]+)`", cell)


def links(document: str) -> list[str]:
    """The targets of a document's links, code left out."""
    return _LINK.findall(_BLOCK.sub("", text_of(document)))


def anchors(document: str) -> set[str]:
    """What links into the document may name: its headings, in GitHub's spelling."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text_of(document)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def difference(shown: Any, real: Any, at: str = "") -> str:
    """What keeps a real document from being like the one shown; empty if nothing does.

    Keys, words, truth values and nulls must be the same, numbers must be numbers, and of what changes the kind counts.
    """
    if isinstance(shown, dict) and isinstance(real, dict):
        if shown.keys() != real.keys():
            return f"{at}: {sorted(shown.keys() ^ real.keys())} are in one of them only"
        parts = (_difference_in(shown[key], real[key], key, f"{at}/{key}") for key in shown)
        return next(filter(None, parts), "")
    if isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real):
        parts = (difference(*pair, f"{at}/{n}") for n, pair in enumerate(zip(shown, real, strict=True)))
        return next(filter(None, parts), "")
    is_same = _is_number(real) if _is_number(shown) else shown == real
    return "" if is_same else f"{at}: {shown!r} is shown, {real!r} is real"


def _difference_in(shown: Any, real: Any, key: str, at: str) -> str:
    if key not in _CHANGING:
        return difference(shown, real, at)
    return "" if type(shown) is type(real) else f"{at}: {shown!r} is shown, {real!r} is real"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELLS.split(line.strip())[1:-1]]


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield _cells(line)
