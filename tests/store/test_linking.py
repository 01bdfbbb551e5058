"""Linking: a script gets the shared definitions that it uses, in their order, and no others."""

import pytest

from workplatform.store.linking import link

SHARED = """-- A head.
local P = 'p:'
local A, B = 1, 2

-- Unused; it names first().
local function first(x)
  return P .. x
end
local function second(x)
  -- third
  return first(x)
end
local TABLE = {
  local_names = A,
}
local function third()
  return TABLE
end
"""


def linked(script: str) -> str:
    return link(SHARED, {"it": script})["it"]


def test_a_script_gets_what_it_uses_and_what_that_uses_in_order() -> None:
    assert linked("return second(1)\n") == (
        "local P = 'p:'\n"
        "local function first(x)\n  return P .. x\nend\n"
        "local function second(x)\n  return first(x)\nend\n"
        "return second(1)\n"
    )


def test_names_that_are_defined_together_come_together() -> None:
    assert linked("return B") == "local A, B = 1, 2\nreturn B"


def test_a_definition_of_several_lines_stays_whole() -> None:
    assert "local TABLE = {\n  local_names = A,\n}\n" in linked("return third()")


def test_comments_of_a_script_want_nothing() -> None:
    script = "-- second() and third() are not meant.\nreturn 1\n"
    assert linked(script) == script


@pytest.mark.parametrize("shared", ["x = 1\nlocal y = 2\n", "local y\n"])
def test_what_cannot_be_linked_is_refused(shared: str) -> None:
    with pytest.raises(ValueError, match="definition"):
        link(shared, {"it": "return 1"})
