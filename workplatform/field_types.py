"""What may stand at a place of a payload or result, as its model's JSON schema says."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

from workplatform.models import WireModel

ANY: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})

_SAMPLES: Final[Mapping[str, Any]] = {
    "string": "example",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


class FieldTypes:
    """The schema of a model: of what it takes ("validation") or of what it gives ("serialization")."""

    def __init__(self, model: type[WireModel], mode: Literal["validation", "serialization"]) -> None:
        self._schema = _schema(model, mode)
        self._known: dict[tuple[str | int, ...], frozenset[str]] = {}

    def at(self, path: tuple[str | int, ...]) -> frozenset[str]:
        """Return the JSON types that may stand at a place; ANY if the schema does not say, empty if it is no place."""
        if path not in self._known:
            self._known[path] = frozenset(kind for node in self._nodes(path) for kind in self._types(node))
        return self._known[path]

    def sample(self, path: tuple[str | int, ...], *, like: frozenset[str] = ANY) -> Any:
        """Return a value as it may stand at a place: the schema's first example, or one of its type."""
        nodes = list(self._nodes(path))
        for node in nodes:
            if examples := node.get("examples"):
                return examples[0]
        kinds = self.at(path) & like or like
        return next(value for kind, value in _SAMPLES.items() if kind in kinds)

    def _nodes(self, path: Sequence[str | int]) -> Iterator[Mapping[str, Any]]:
        """Yield the schemas of a place, first the one that bears its examples."""
        nodes: list[Mapping[str, Any]] = [self._schema]
        for word in path:
            nodes = [
                inner
                for node in nodes
                for alternative in self._alternatives(node)
                for inner in _inside(alternative, word)
            ]
        for node in nodes:
            yield from self._alternatives(node)

    def _alternatives(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield a schema, and what it may be besides."""
        yield node
        if "$ref" in node:
            yield from self._alternatives(self._schema["$defs"][node["$ref"].rpartition("/")[2]])
        for word in ("anyOf", "oneOf", "allOf"):
            for alternative in node.get(word, ()):
                yield from self._alternatives(alternative)

    def _types(self, node: Mapping[str, Any]) -> frozenset[str]:
        if "type" in node:
            said = node["type"]
            return frozenset([said] if isinstance(said, str) else said)
        if "const" in node or "enum" in node:
            return frozenset(_type_of(value) for value in node.get("enum", [node.get("const")]))
        return frozenset() if node.keys() & {"$ref", "anyOf", "oneOf", "allOf"} else ANY


def _inside(node: Mapping[str, Any], word: str | int) -> Iterator[Mapping[str, Any]]:
    """Yield the schema of a member of an object, or of an item of an array, if the schema knows one."""
    if isinstance(word, str) and word in node.get("properties", {}):
        yield node["properties"][word]
    elif isinstance(word, str) and node.get("additionalProperties"):
        more = node["additionalProperties"]
        yield {} if more is True else more
    elif isinstance(word, int) or word.isdigit():
        if "items" in node:
            yield node["items"] if isinstance(node["items"], Mapping) else {}
        elif "prefixItems" in node and int(word) < len(node["prefixItems"]):
            yield node["prefixItems"][int(word)]
    if node == {}:
        yield {}


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null"


@cache
def _schema(model: type[WireModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True, mode=mode)
