"""Tests of variants and of target sizes, as the job type `webp` makes them."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from tests.storage.stores import running_store
from tests.workers._samples_images import assert_corners, corners_picture
from tests.workers.test_webp import ORIENTATION, UPRIGHT, converted
from workers._searching import TooLargeAtAllError, best_quality
from workers.webp import WebpPayload, webp
from workplatform.errors import BadInputError
from workplatform.testing import run_inline

LOSSY = ["out.webp", "out.avif", "out.jpg"]
VARIANTS = [{"width": 40, "suffix": "-40"}, {"width": 80, "suffix": "@2x"}, {"width": 9000, "suffix": ".full"}]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture with detail at several scales."""
    rough = Image.effect_noise((30, 20), 90).resize((240, 160), Image.Resampling.BICUBIC)
    picture = Image.merge("RGB", [Image.blend(rough, Image.effect_noise((240, 160), 60), 0.4) for _ in range(3)])
    picture.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("output", [*LOSSY, "out.png"])
def test_each_variant_is_a_file_beside_the_picture(output: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    corners_picture().save(tmp_path / "a.jpg", exif=exif, quality=95)
    result, _ = converted(tmp_path / "a.jpg", outputPath=f"deep/{output}", width=60, variants=VARIANTS)
    stem, ending = output.split(".")
    assert [one["outputPath"] for one in result["variants"]] == [
        f"deep/{stem}{variant['suffix']}.{ending}" for variant in VARIANTS
    ]
    assert [(one["width"], one["height"]) for one in result["variants"]] == [(40, 67), (80, 133), (96, 160)]
    for one in result["variants"]:
        path = tmp_path / one["outputPath"]
        assert path.stat().st_size == one["size"]
        with Image.open(path) as picture:
            assert picture.size == (one["width"], one["height"])
            assert_corners(picture, *UPRIGHT[6])
    assert (result["width"], result["height"]) == (60, 100)


def test_a_variant_is_the_picture_that_a_job_of_its_own_makes(photo: Path) -> None:
    result, _ = converted(photo, variants=[{"width": 120, "suffix": "-s"}])
    converted(photo, outputPath="alone.webp", width=120)
    with Image.open(photo.with_name("alone.webp")) as alone, Image.open(photo.with_name("out-s.webp")) as variant:
        assert variant.tobytes() == alone.tobytes()
    assert result["variants"][0]["suffix"] == "-s"


def test_without_variants_the_result_lists_none(photo: Path) -> None:
    assert "variants" not in converted(photo)[0]


def test_all_of_them_appear_or_none(photo: Path) -> None:
    (photo.parent / "out-2.webp").mkdir()
    with pytest.raises(BadInputError, match=r"out-2\.webp is a folder"):
        converted(photo, variants=[{"width": 9, "suffix": "-1"}, {"width": 9, "suffix": "-2"}])
    assert not list(photo.parent.glob("out*.webp/*")) and not (photo.parent / "out.webp").exists()
    assert not (photo.parent / "out-1.webp").exists()


def test_variants_in_a_store(photo: Path) -> None:
    (photo.parent / "s3").mkdir()
    with running_store(photo.parent / "s3") as store:
        payload = {"inputPath": "photo.png", "outputPath": "s3://media/p/a.webp", "variants": VARIANTS[:1]}
        result = run_inline(webp, payload, root=photo.parent, account=store.account())
        assert result["variants"][0]["outputPath"] == "s3://media/p/a-40.webp"
        assert len(store.get("p/a-40.webp")) == result["variants"][0]["size"]


@pytest.mark.parametrize(
    "wrong",
    [
        [{"width": 9, "suffix": "../a"}],
        [{"width": 9, "suffix": "a\\b"}],
        [{"width": 9, "suffix": "a\n"}],
        [{"width": 9, "suffix": ""}],
        [{"width": 0, "suffix": "a"}],
        [{"width": 9, "suffix": "a"}, {"width": 8, "suffix": "a"}],
        [{"width": 9, "suffix": str(number)} for number in range(21)],
        [{"width": 9}],
    ],
)
def test_wrong_variants_are_refused(wrong: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError, match="variants"):
        WebpPayload.model_validate({"inputPath": "a.png", "outputPath": "a.webp", "variants": wrong})


def test_a_variant_that_would_replace_the_input_is_refused() -> None:
    with pytest.raises(ValidationError, match="'-40' would replace inputPath"):
        WebpPayload.model_validate({"inputPath": "a-40.webp", "outputPath": "a.webp", "variants": VARIANTS})


@pytest.mark.parametrize("output", LOSSY)
@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_the_file_is_the_best_that_is_not_larger(output: str, share: float, photo: Path) -> None:
    def size(quality: int) -> int:
        return int(converted(photo, outputPath=output, effort="fast", quality=quality)[0]["size"])

    least, most = size(0), size(100)
    target = int(least + (most - least) * share)
    result, _ = converted(photo, outputPath=output, effort="fast", targetSize=target)
    assert result["size"] <= target
    assert result["size"] == size(result["quality"])
    assert size(result["quality"] + 1) > target


def test_a_quality_that_is_given_is_the_most_that_a_target_size_chooses(photo: Path) -> None:
    assert converted(photo, targetSize="10M")[0]["quality"] == 100
    assert converted(photo, targetSize="10M", quality=60)[0]["quality"] == 60


def test_a_target_size_holds_for_the_variants_which_are_no_better_than_the_picture(photo: Path) -> None:
    result, _ = converted(photo, targetSize="5k", variants=[{"width": 90, "suffix": "-90"}])
    assert result["size"] <= 5000
    assert result["variants"][0]["quality"] == result["quality"]
    wide, _ = converted(photo, width=60, targetSize="2k", variants=[{"width": 240, "suffix": "-240"}])
    assert wide["variants"][0]["size"] <= 2000
    assert wide["variants"][0]["quality"] < wide["quality"]


@pytest.mark.parametrize("output", LOSSY)
def test_a_target_size_that_cannot_be_met_names_the_least(output: str, photo: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"^targetSize: photo.png at 240 x 160 has at least .* smaller width"
    ) as caught:
        converted(photo, outputPath=output, targetSize=50)
    least = caught.value.message.rsplit(" ", 1)[1]
    assert converted(photo, outputPath=output, targetSize=least)[0]["quality"] >= 0
    assert [entry.name for entry in photo.parent.glob("out*")] == [output]


@pytest.mark.parametrize("growth", [lambda q: q + 1, lambda q: 2 ** (q / 9), lambda q: q // 30 * 30 + 1, lambda _: 7])
@pytest.mark.parametrize("most", [7, 31, 60, 900, 10_000])
def test_the_search_ends_soon_whatever_the_sizes_do(growth: Any, most: int) -> None:
    tried: list[int] = []

    def encode(quality: int) -> bytes:
        tried.append(quality)
        return bytes(int(growth(quality)))

    for highest in (0, 1, 60, 100):
        tried.clear()
        best = max((quality for quality in range(highest + 1) if int(growth(quality)) <= most), default=None)
        if best is None:
            with pytest.raises(TooLargeAtAllError):
                best_quality(encode, most, "webp", highest=highest, first=75)
        else:
            assert best_quality(encode, most, "webp", highest=highest, first=75)[0] == best
        assert len(tried) == len(set(tried)) <= 14
