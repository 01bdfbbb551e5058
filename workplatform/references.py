"""References: `${STEP.result.FIELD}` in a step's payload stands for what another step of its flow gives back."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Place = tuple[str | int, ...]

MOST: Final = 200
STEP_NAME: Final = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
FORM: Final = "a reference is ${STEP.result.FIELD}; for the text itself write $${"

_MARK: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_REFERENCE: Final = re.compile(rf"({STEP_NAME})\.result((?:\.[A-Za-z0-9_-]{{1,100}})*)")
_ESCAPED: Final = "$${"
_DEEPEST: Final = 100


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference at a `place` of a payload: the field at `path` of what `step` gives back.

    It `is_whole` where nothing else stands beside it; then the value keeps its type, else it becomes text.
    """

    place: Place
    step: str
    path: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return "${" + ".".join((self.step, "result", *self.path)) + "}"


class Misfit(Exception):  # noqa: N818 - said of a place, and turned into an error by who asked
    """Something in a payload is no reference, or cannot be put in."""

    def __init__(self, place: Place, detail: str) -> None:
        super().__init__(detail)
        self.place = place
        self.detail = detail


def find(payload: object) -> tuple[list[Reference], list[Misfit]]:
    """Return the references in a payload, and what looks like one and is none."""
    references: list[Reference] = []
    misfits: list[Misfit] = []
    try:
        for place, text in _texts(payload, ()):
            for match in _MARK.finditer(text):
                if match[0] == _ESCAPED:
                    continue
                reference = _read(match[1] or "", place, is_whole=match[0] == text)
                if reference is None:
                    misfits.append(Misfit(place, f"{match[0]!r}: {FORM}"))
                else:
                    references.append(reference)
    except Misfit as misfit:
        misfits.append(misfit)
    if len(references) > MOST:
        misfits.append(Misfit((), f"holds {len(references)} references, and may hold {MOST}"))
    return references, misfits


def put_in(payload: Any, value_of: Callable[[Reference], Any]) -> Any:
    """Return a payload with a value in the place of each reference, and `$${` as `${`; raises Misfit."""
    return _put_in(payload, (), value_of)


def value_at(result: Any, reference: Reference) -> Any:
    """Return the part of a result that a reference is to; raises Misfit."""
    value = result
    for word in reference.path:
        if isinstance(value, Mapping) and word in value:
            value = value[word]
        elif isinstance(value, Sequence) and not isinstance(value, str) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        else:
            raise Misfit(reference.place, f"step {reference.step} has no {reference}")
    return value


def is_about(place: Place, reference: Reference) -> bool:
    """Whether an error at a place, which names alternatives of a type too, is about the value of a reference."""
    words = iter(map(str, place))
    return all(str(word) in words for word in reference.place)


def _put_in(node: Any, place: Place, value_of: Callable[[Reference], Any]) -> Any:
    if isinstance(node, Mapping):
        return {name: _put_in(inner, (*place, name), value_of) for name, inner in node.items()}
    if isinstance(node, list):
        return [_put_in(inner, (*place, number), value_of) for number, inner in enumerate(node)]
    if not isinstance(node, str) or "${" not in node:
        return node
    whole = _MARK.fullmatch(node)
    if whole is not None and whole[0] != _ESCAPED:
        reference = _read(whole[1] or "", place, is_whole=True)
        return node if reference is None else value_of(reference)
    return _MARK.sub(lambda match: _as_text(match, place, value_of), node)


def _as_text(match: re.Match[str], place: Place, value_of: Callable[[Reference], Any]) -> str:
    if match[0] == _ESCAPED:
        return "${"
    reference = _read(match[1] or "", place, is_whole=False)
    if reference is None:
        return match[0]
    value = value_of(reference)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "null" if value is None else "an object" if isinstance(value, Mapping) else "an array"
    raise Misfit(place, f"{reference} is {kind} and cannot stand within a text")


def _read(words: str, place: Place, *, is_whole: bool) -> Reference | None:
    match = _REFERENCE.fullmatch(words)
    return match and Reference(place, match[1], tuple(match[2].split(".")[1:]), is_whole)


def _texts(node: object, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(node, str):
        yield place, node
    elif len(place) > _DEEPEST:
        raise Misfit(place[:1], f"is nested deeper than {_DEEPEST} levels")
    elif isinstance(node, Mapping):
        for name, inner in node.items():
            yield from _texts(inner, (*place, name))
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _texts(inner, (*place, number))
