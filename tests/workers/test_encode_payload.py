"""What an encode job's payload refuses, and how it says so."""

from typing import Any

import pytest
from pydantic import ValidationError

from workers._encode_models import EncodePayload
from workers._quantities import in_words

FILES = {"inputPath": "source.mov", "outputPath": "film.mp4"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"inputPath": "s3://media/a.mp4", "outputPath": "s3://media/a.mp4"}, "outputPath is the input"),
        ({"outputPath": "film.avi"}, "must end in .mp4, .mov, .mkv, .webm"),
        (
            {"outputPath": "film.webm", "codec": "h264"},
            ".webm cannot hold h264: choose codec vp9 or av1, or an outputPath that ends in .mp4 or .mov or .mkv",
        ),
        ({"outputPath": "film.mov", "codec": "av1"}, ".mov cannot hold av1"),
        ({"crf": 20, "targetSize": "25M"}, "crf, targetSize and targetQuality exclude each other"),
        ({"targetQuality": 90, "targetSize": "25M"}, "crf, targetSize and targetQuality exclude each other"),
        ({"crf": 52}, "crf of h264 is at most 51"),
        ({"crf": 20.5, "codec": "av1"}, "crf of av1 is a whole number"),
        ({"upscale": True}, "upscale needs a width or a height"),
        ({"toneMap": False}, "choose codec hevc, av1 or vp9"),
        ({"toneMap": False, "codec": "hevc", "bitDepth": 8}, "HDR needs bitDepth 10"),
        ({"trim": {"start": 5, "end": 4}}, "trim ends at 4, not after its start at 5"),
        ({"trim": {"start": "soon"}}, "'soon' is no timestamp"),
        ({"fps": 0}, "a frame rate is at least 1/1001 and at most 240"),
        ({"fps": 0.0001}, "a frame rate is at least 1/1001 and at most 240"),
        ({"fps": "1/0"}, 'a frame rate is a number, or a fraction such as "30000/1001"'),
        ({"fps": "25,scale=1:1"}, "a frame rate is a number"),
        ({"fps": "1e99999999"}, "a frame rate is a number"),
        ({"fps": 10**400}, "a frame rate is a number"),
        ({"targetSize": "9" * 400}, "a size is a number of bytes"),
        ({"targetSize": 10**400}, "less than or equal to"),
        ({"audioBitrate": "9" * 400}, "a bitrate is a number of bits per second"),
        ({"trim": {"start": 10**400}}, "is no timestamp"),
        ({"targetSize": "big"}, 'a size is a number of bytes, or a text such as "800k", "25M" or "25MiB"'),
        ({"preset": "placebo"}, "Input should be 'ultrafast'"),
        ({"audio": []}, "at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_mend(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EncodePayload.model_validate(FILES | fields)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("25M", 25_000_000), ("25 MB", 25_000_000), ("1.5MiB", 1_572_864), ("800k", 800_000), (9999, 9999)],
)
def test_a_size_is_read_with_its_unit(text: str | int, size: int) -> None:
    assert EncodePayload.model_validate({**FILES, "targetSize": text}).target_size == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(999, "999"), (1001, "1.01k"), (12_345_678, "12.4M"), (2_500_000_000, "2.50G"), (123_456, "124k")],
)
def test_a_least_size_in_words_is_never_too_small(size: int, text: str) -> None:
    assert in_words(size) == text
    assert (
        EncodePayload.model_validate({**FILES, "targetSize": f"{text}0" if size < 1000 else text}).target_size or 0
    ) >= size


@pytest.mark.parametrize(("fps", "rate"), [(25, "25"), (29.97, "30000/1001"), ("23.976", "24000/1001"), (12.5, "25/2")])
def test_rates_of_television_are_made_exact(fps: Any, rate: str) -> None:
    assert EncodePayload.model_validate({**FILES, "fps": fps}).fps == rate
