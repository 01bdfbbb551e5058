"""Languages: what files call them, and what players are told."""

import pytest

from workers._languages import language_name, language_tag


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("eng", "en", "English"),
        ("ger", "de", "German"),
        ("deu", "de", "German"),
        ("fre", "fr", "French"),
        ("chi", "zh", "Chinese"),
        ("nob", "nb", "Norwegian Bokmål"),
        ("pt-BR", "pt-BR", "Portuguese (BR)"),
        ("por_BR", "pt-BR", "Portuguese (BR)"),
        ("EN", "en", "English"),
        ("fil", "fil", "fil"),
    ],
)
def test_a_language_has_its_shortest_tag_and_an_english_name(code: str, tag: str, name: str) -> None:
    assert language_tag(code) == tag
    assert language_name(tag) == name


@pytest.mark.parametrize("code", [None, "", "und", "mul", "zxx", "x", "e", "english", 'en",FOO="', "../x", "en-"])
def test_what_names_no_language_has_no_tag(code: str | None) -> None:
    assert language_tag(code) is None
