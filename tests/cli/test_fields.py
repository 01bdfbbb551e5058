"""Names of fields as people type them, and outputs that are left to the command."""

from pathlib import Path

import click
import pytest

from workers._hls_models import HlsPayload
from workers.thumbnail import ThumbnailPayload
from workers.webp import WebpPayload
from workplatform.cli.errors import CommandError
from workplatform.cli.fields import chosen_output, full_name, full_names, source_name
from workplatform.cli.transfers import target
from workplatform.models import Payload

NAMES = ("inputPath", "outputPath", "quality", "maxBytes", "max")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("input", "inputPath"),
        ("inputPath", "inputPath"),
        ("input-path", "inputPath"),
        ("input_path", "inputPath"),
        ("INPUTPATH", "inputPath"),
        ("q", "quality"),
        ("max", "max"),
        ("max-b", "maxBytes"),
        ("colour", "colour"),
    ],
)
def test_a_field_may_be_shortened_and_spelled_in_any_way(key: str, name: str) -> None:
    assert full_name(key, NAMES) == name


def test_a_name_that_may_stand_for_several_is_refused_with_them() -> None:
    with pytest.raises(click.BadParameter, match="inputPath, inputType"):
        full_name("in", ["inputPath", "inputType", "other"])


def test_fields_of_a_type_that_is_not_installed_here_stay_as_they_are() -> None:
    assert full_names({"in": 1}, None) == {"in": 1}
    assert chosen_output({"in": 1}, None, "f", "x") == {}


@pytest.mark.parametrize(
    ("model", "payload", "source", "chosen"),
    [
        (WebpPayload, {"inputPath": "f/a.jpg"}, "a.jpg", {"outputPath": "out/a.webp"}),
        (ThumbnailPayload, {"videoPath": "f/a.mp4"}, "a.mp4", {"outputPath": "out/a.webp"}),
        (HlsPayload, {"inputPath": "f/film.mp4"}, "film.mp4", {"outputDir": "out/film"}),
        (WebpPayload, {"inputPath": "f/a.jpg", "outputPath": "mine.webp"}, "a.jpg", {}),
    ],
)
def test_an_output_that_is_missing_is_named_after_the_source(
    model: type[Payload], payload: dict[str, object], source: str, chosen: dict[str, str]
) -> None:
    assert chosen_output(payload, model, "out", source) == chosen


def test_the_source_is_the_first_path_or_url() -> None:
    assert source_name({"quality": 5, "word": "x", "url": "https://h.example/a/b.mp4?token=1/2"}, "webp") == "b.mp4"
    assert source_name({"quality": 5}, "webp") == "webp"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_a_platform_cannot_write_outside_of_the_folder(name: str) -> None:
    with pytest.raises(CommandError, match="would not stay"):
        target(Path("out"), name)
