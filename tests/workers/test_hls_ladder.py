"""The ladder: which renditions, how large, with how many bits."""

from typing import Any

import pytest
from pydantic import ValidationError

from workers._hls_ladder import Quality, climb
from workers._hls_models import HlsPayload


def payload(*qualities: Any) -> HlsPayload:
    return HlsPayload.model_validate({"inputPath": "a.mp4", "outputDir": "out", "qualities": list(qualities)})


def sizes(width: int, height: int, *qualities: Any) -> dict[str, tuple[int, int]]:
    rungs = climb(payload(*qualities).qualities, width, height)
    return {rung.name: (rung.width, rung.height) for rung in rungs}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((1920, 1080), {"1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)}),
        ((1080, 1920), {"1080p": (1080, 1920), "720p": (720, 1280), "480p": (480, 854)}),
        ((1280, 720), {"720p": (1280, 720), "480p": (854, 480)}),
        ((1440, 1080), {"1080p": (1440, 1080), "720p": (960, 720), "480p": (640, 480)}),
        ((1920, 800), {"1080p": (1920, 800), "720p": (1728, 720), "480p": (1152, 480)}),
        ((1920, 1066), {"1080p": (1920, 1066), "720p": (1296, 720), "480p": (864, 480)}),
        ((853, 481), {"480p": (852, 480)}),
        ((640, 360), {"480p": (640, 360)}),
        ((101, 57), {"480p": (100, 56)}),
        ((4096, 2160), {"1080p": (2048, 1080), "720p": (1366, 720), "480p": (910, 480)}),
    ],
)
def test_sizes_follow_the_shorter_side_and_never_exceed_the_source(
    source: tuple[int, int], expected: dict[str, tuple[int, int]]
) -> None:
    assert sizes(*source, "1080p", "720p", "480p") == expected


def test_the_order_asked_is_kept() -> None:
    assert list(sizes(1920, 1080, "480p", "1080p", "720p")) == ["480p", "1080p", "720p"]


def test_two_bitrates_of_one_height_are_two_renditions() -> None:
    low, high = {"name": "low", "height": 720, "bitrate": "1M"}, {"name": "high", "height": 720, "bitrate": "4M"}

    assert sizes(640, 360, low, high) == {"low": (640, 360), "high": (640, 360)}


def test_every_usual_name_and_any_case_is_known() -> None:
    names = ["2160P", "1440p", "1080p", "720p", "480p", "360p", "240p", "144p"]

    assert [quality.name for quality in payload(*names).qualities] == [name.lower() for name in names]


def test_bitrates_are_numbers_or_texts() -> None:
    quality = Quality.model_validate({"height": 720, "bitrate": "2800k", "audioBitrate": 96000})

    assert (quality.name, quality.bitrate, quality.audio_bitrate) == ("720p", 2_800_000, 96_000)
    assert Quality.model_validate({"name": "720p", "bitrate": "2.5M"}).bitrate == 2_500_000


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"height": 1080}, (None, 23, 5_000_000)),
        ({"height": 1080, "bitrate": "3M"}, (3_000_000, None, 3_000_000)),
        ({"height": 1080, "crf": 20}, (None, 20, None)),
        ({"height": 1080, "crf": 20, "bitrate": "3M"}, (None, 20, 3_000_000)),
    ],
)
def test_the_rate_control_follows_what_is_given(
    asked: dict[str, Any], expected: tuple[int | None, int | None, int | None]
) -> None:
    (rung,) = climb([Quality.model_validate(asked)], 1920, 1080)

    assert (rung.bitrate, rung.crf, rung.ceiling) == expected


@pytest.mark.parametrize(
    ("quality", "complaint"),
    [
        ("999p", "use one of 2160p, 1440p"),
        ({"name": "../up", "height": 720}, "pattern"),
        ({"name": "a/b", "height": 720}, "pattern"),
        ({"name": ".", "height": 720}, "pattern"),
        ({"name": "-y", "height": 720}, "pattern"),
        ({"name": "a]b|c", "height": 720}, "pattern"),
        ({"name": "master.m3u8", "height": 720}, "pattern"),
        ({"name": "hd"}, "height"),
        ({"height": 8}, "greater than or equal to 16"),
        ({"height": 720, "bitrate": "fast"}, "2800k"),
        ({"height": 720, "bitrate": "5G"}, "2800k"),
        ({"height": 720, "bitrate": -1}, "greater than or equal"),
        ({"height": 720, "crf": 52}, "at most 51 with h264"),
        ({"height": 720, "codec": "av1"}, "Extra inputs"),
        (720, "valid dictionary"),
    ],
)
def test_a_wrong_quality_is_refused_with_a_reason(quality: Any, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        payload(quality)


@pytest.mark.parametrize("qualities", [("720p", "720p"), ("720p", {"name": "720P", "height": 700}), ()])
def test_no_qualities_and_twice_the_same_name_are_refused(qualities: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError, match=r"twice|at least 1"):
        payload(*qualities)


def test_the_schema_offers_names_and_objects() -> None:
    items = HlsPayload.model_json_schema()["$defs"]["Quality"]["anyOf"]

    assert "720p" in items[0]["enum"]
    assert {"name", "height", "bitrate", "audioBitrate", "crf"} == set(items[1]["properties"])
