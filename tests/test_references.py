"""References: what is one, what it is replaced by, and what cannot be put in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workplatform.references import Misfit, Reference, find, put_in, value_at

RESULTS: dict[str, Any] = {
    "fetch": {"outputPath": "films/a.mp4", "size": 7, "ratio": 0.5, "ok": True, "none": None, "files": [{"uri": "u"}]}
}


def filled(payload: Any) -> Any:
    return put_in(payload, lambda reference: value_at(RESULTS[reference.step], reference))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${fetch.result.outputPath}", "films/a.mp4"),
        ("${fetch.result.size}", 7),
        ("${fetch.result.ratio}", 0.5),
        ("${fetch.result.ok}", True),
        ("${fetch.result.none}", None),
        ("${fetch.result.files.0.uri}", "u"),
        ("${fetch.result.files}", [{"uri": "u"}]),
        ("${fetch.result}", RESULTS["fetch"]),
        ("a ${fetch.result.size} b", "a 7 b"),
        ("${fetch.result.ok}/${fetch.result.ratio}", "true/0.5"),
        ("$${fetch.result.size}", "${fetch.result.size}"),
        ("$$${fetch.result.size}", "$${fetch.result.size}"),
        ("$${a} ${fetch.result.size}", "${a} 7"),
        ("costs $5 {x}", "costs $5 {x}"),
        ("$$", "$$"),
    ],
)
def test_a_reference_is_replaced_and_keeps_its_type_where_it_stands_alone(text: str, value: Any) -> None:
    assert filled({"a": [text]}) == {"a": [value]}


def test_references_are_found_with_their_places() -> None:
    references, misfits = find({"a": "${x.result.b.c}", "d": [1, "no", "to ${y.result}", "$${z.result}"]})
    assert misfits == []
    assert references == [
        Reference(("a",), "x", ("b", "c"), is_whole=True),
        Reference(("d", 2), "y", (), is_whole=False),
    ]
    assert [str(reference) for reference in references] == ["${x.result.b.c}", "${y.result}"]


@pytest.mark.parametrize(
    "text", ["${", "${}", "${x}", "${x.outputPath}", "${x.result.}", "a ${1.result.b}", "${x.result.b"]
)
def test_what_only_looks_like_a_reference_is_told(text: str) -> None:
    references, [misfit] = find({"a": text})
    assert (references, misfit.place) == ([], ("a",))
    assert "$${" in misfit.detail


def test_a_payload_may_hold_so_many_references() -> None:
    assert find({"a": ["${x.result}"] * 200})[1] == []
    _, [misfit] = find({"a": ["${x.result}"] * 201})
    assert (misfit.place, misfit.detail) == ((), "holds 201 references, and may hold 200")


def test_a_payload_that_is_nested_without_end_is_told() -> None:
    payload: Any = "x"
    for _ in range(2000):
        payload = [payload]
    references, [misfit] = find({"a": payload})
    assert (references, misfit.place, misfit.detail) == ([], ("a",), "is nested deeper than 100 levels")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("at ${fetch.result.files}", "is an array and cannot stand within a text"),
        ("at ${fetch.result}", "is an object and cannot stand within a text"),
        ("at ${fetch.result.none}", "is null and cannot stand within a text"),
        ("${fetch.result.nope}", "step fetch has no ${fetch.result.nope}"),
        ("${fetch.result.files.1}", "step fetch has no ${fetch.result.files.1}"),
        ("${fetch.result.outputPath.0}", "step fetch has no"),
    ],
)
def test_what_cannot_be_put_in_names_its_place(text: str, detail: str) -> None:
    with pytest.raises(Misfit) as caught:
        filled({"a": {"b": text}})
    assert caught.value.place == ("a", "b")
    assert detail in caught.value.detail


_TEXTS = st.text(alphabet="${}ax.result ", max_size=30)
_PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_PAYLOADS)
def test_an_escaped_payload_comes_out_as_it_was(payload: Any) -> None:
    references, misfits = find(escaped(payload))
    assert (references, misfits) == ([], [])
    assert put_in(escaped(payload), lambda reference: pytest.fail(str(reference))) == payload


def escaped(node: Any) -> Any:
    if isinstance(node, str):
        return node.replace("${", "$${")
    if isinstance(node, list):
        return [escaped(item) for item in node]
    if isinstance(node, dict):
        return {name: escaped(item) for name, item in node.items()}
    return node
