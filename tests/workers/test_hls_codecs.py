"""HLS in other codecs, formats of segments and colours: decoded, and compared with what the master says."""

from pathlib import Path
from typing import Any

import av
import pytest
from av.sidedata.sidedata import Type
from pydantic import ValidationError

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import make_ladder
from tests.workers._streams import read_master
from workers._hls_models import HlsPayload
from workplatform.errors import BadInputError
from workplatform.hls_check import check

TWO = ({"name": "high", "height": 90}, {"name": "low", "height": 64})


def master_of(folder: Path) -> dict[str, str]:
    """Return what the master says about the smaller rendition."""
    return read_master(folder / "out" / "master.m3u8")["low/playlist.m3u8"]


def first_frame(folder: Path, name: str = "low") -> av.VideoFrame:
    with av.open(str(folder / "out" / name / "playlist.m3u8")) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize(
    ("codec", "segment_type", "codecs"),
    [
        ("h264", "fmp4", "avc1.64000a,mp4a.40.2"),
        ("hevc", "ts", "hvc1.1.6.L30.90,mp4a.40.2"),
        ("hevc", "fmp4", "hvc1.1.6.L30.90,mp4a.40.2"),
        ("av1", None, "av01.0.00M.08,mp4a.40.2"),
    ],
)
def test_every_codec_is_cut_on_the_same_grid_and_named(
    tmp_path: Path, codec: str, segment_type: str | None, codecs: str
) -> None:
    source = samples.grouped(tmp_path / "film.mp4", duration=8)

    made = make_ladder(source, qualities=TWO, codec=codec, segmentType=segment_type, passthrough=False)

    assert made.streams[0].durations == [6.0, 2.0]
    assert len(made.streams[0].times) == 200
    assert made.streams[0].sound_s == pytest.approx(8, abs=0.1)
    assert not check(tmp_path / "out").errors
    said = master_of(tmp_path)
    assert said["CODECS"].partition(".")[0] == codecs.partition(".")[0]
    assert said["CODECS"].rpartition(",")[2] == "mp4a.40.2"
    assert codec == "h264" or said["CODECS"] == codecs
    suffix = "ts" if segment_type == "ts" else "m4s"
    assert {path.suffix for path in (tmp_path / "out" / "high").iterdir()} - {".m3u8", ".mp4"} == {f".{suffix}"}
    assert (tmp_path / "out" / "high" / "init.mp4").exists() is (suffix == "m4s")


def test_hevc_in_fmp4_is_marked_as_players_of_apple_want_it(tmp_path: Path) -> None:
    make_ladder(samples.grouped(tmp_path / "film.mp4", duration=1), qualities=TWO, codec="hevc", segmentType="fmp4")

    assert b"hvc1" in (tmp_path / "out" / "low" / "init.mp4").read_bytes()


@pytest.mark.parametrize(("transfer", "video_range"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_hdr_stays_hdr_where_the_codec_has_room_for_it(
    tmp_path: Path, transfer: str, video_range: str, codec: str
) -> None:
    source = samples.wide(tmp_path / "film.mp4", transfer)

    make_ladder(source, qualities=TWO, codec=codec, segmentType="fmp4", pixels="yuv420p10le")

    said = master_of(tmp_path)
    assert said["VIDEO-RANGE"] == video_range
    assert said["CODECS"].startswith("hvc1.2.4." if codec == "hevc" else "av01.0.00M.10.0.110.09.1")
    assert int(first_frame(tmp_path).color_primaries) == 9
    assert not check(tmp_path / "out").errors


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67", "2020_10"])
def test_hdr_becomes_ordinary_light_in_h264(tmp_path: Path, transfer: str) -> None:
    make_ladder(samples.wide(tmp_path / "film.mp4", transfer), qualities=TWO)

    frame = first_frame(tmp_path, "high")
    assert (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)) == (1, 1, 1)
    assert Type.MASTERING_DISPLAY_METADATA not in frame.side_data and Type.CONTENT_LIGHT_LEVEL not in frame.side_data
    assert "VIDEO-RANGE" not in master_of(tmp_path)
    luma = bytes(frame.planes[0])
    white = luma[80 * frame.planes[0].line_size + 60]
    assert 180 < white < 240, "the white bar is bright"


def test_hdr_that_is_not_to_be_mapped_is_named_as_what_it_is(tmp_path: Path) -> None:
    make_ladder(samples.wide(tmp_path / "film.mp4", "smpte2084"), qualities=TWO, toneMap=False)

    assert int(first_frame(tmp_path).color_trc) == 16
    assert master_of(tmp_path)["VIDEO-RANGE"] == "PQ"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"codec": "av1", "segmentType": "ts"}, "segmentType: av1 does not go into ts; ask for fmp4"),
        ({"codec": "vp9"}, "'h264', 'hevc' or 'av1'"),
        ({"codec": "hevc", "qualities": [{"height": 90, "crf": 55}]}, "the crf of 90p should be at most 51 with hevc"),
        ({"passthrough": "yes please"}, "passthrough"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_mend(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        HlsPayload.model_validate({"inputPath": "a.mp4", "outputDir": "out", **fields})


def test_a_rung_of_av1_too_small_for_its_bitrate_is_refused(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "small.mp4", size="96x62", duration=0.4)

    with pytest.raises(BadInputError, match="at least 64 pixels each way where size or bitrate are given"):
        make_ladder(source, codec="av1", qualities=[{"height": 62, "bitrate": "200k"}])


def test_a_picture_too_small_for_its_codec_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = samples.silent(tmp_path / "tiny.mp4", size="36x20", duration=0.4)

    with pytest.raises(BadInputError, match="at least 32 pixels each way, this one would be 36x20"):
        make_ladder(source, codec="hevc")

    assert not (tmp_path / "out").exists()
