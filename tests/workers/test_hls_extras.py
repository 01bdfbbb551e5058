"""Poster, I-frames and encryption of HLS streams: each read back without the code that made it."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import PictureType
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from PIL import Image
from pydantic import ValidationError

from tests.storage.stores import running_store
from tests.workers import _samples_tracks as tracks
from tests.workers import _samples_video as samples
from tests.workers._numbered import numbered
from tests.workers._streams import read_attributes, read_stream
from workers._hls_models import HlsPayload
from workers.hls import hls
from workplatform.hls_check import Severity, check
from workplatform.testing import inline_job, run_inline

QUALITIES = ({"name": "high", "height": 90}, {"name": "low", "height": 46})


def make(source: Path, **more: Any) -> tuple[Path, dict[str, Any], list[str]]:
    """Run the job; return its folder, its result and its log."""
    payload = {"inputPath": source.name, "outputDir": "out", "qualities": QUALITIES, **more}
    with inline_job(source.parent, preload=("workers._hls_making",)) as run:
        result = hls(HlsPayload.model_validate(payload), run.job)
    return source.parent / "out", result.model_dump(mode="json", by_alias=True), run.lines


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return samples.plain(tmp_path / "film.mp4", size="160x90", rate=10, duration=13)


def test_the_poster_is_a_picture_of_the_size_of_the_largest_rendition(film: Path) -> None:
    folder, result, _ = make(film, poster=True)

    assert result["posterPath"] == "out/poster.jpg"
    with Image.open(folder / "poster.jpg") as poster:
        assert (poster.format, poster.size) == ("JPEG", (160, 90))
        assert len(set(poster.convert("L").tobytes())) > 50, "it shows something"
    (folder / "poster.jpg").unlink()
    assert make(film, poster=True)[1]["skipped"] is False


def iframe_parts(playlist: Path) -> list[bytes]:
    """Return what a player fetches for each entry of an I-frame playlist, with its initialization section."""
    text = playlist.read_text()
    init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', text)
    head = (playlist.parent / init[1]).read_bytes() if init else b""
    ranges = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)\n(\S+)", text)
    return [
        head + (playlist.parent / name).read_bytes()[int(start) : int(start) + int(size)]
        for size, start, name in ranges
    ]


def pictures_of(content: bytes) -> list[tuple[PictureType, int]]:
    with av.open(BytesIO(content), "r") as container:
        return [(PictureType(frame.pict_type), frame.pts or 0) for frame in container.decode(video=0)]


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_each_range_of_an_iframe_playlist_is_one_keyframe(film: Path, segment_type: str) -> None:
    folder, _, _ = make(film, iframes=True, segmentType=segment_type)

    for name in ("high", "low"):
        playlist = folder / name / "iframes.m3u8"
        text = playlist.read_text()
        assert "#EXT-X-I-FRAMES-ONLY\n" in text and text.endswith("#EXT-X-ENDLIST\n")
        assert int(re.findall(r"#EXT-X-VERSION:(\d+)", text)[0]) >= (5 if "EXT-X-MAP" in text else 4)
        assert [float(s) for s in re.findall(r"#EXTINF:([\d.]+)", text)] == [6.0, 6.0, 1.0]
        parts = iframe_parts(playlist)
        shown = [pictures_of(part) for part in parts]
        assert [[kind for kind, _ in pictures] for pictures in shown] == 3 * [[PictureType.I]]
        assert len({time for pictures in shown for _, time in pictures}) == 3
        if segment_type == "ts":
            assert all(len(part) % 188 == 0 and part[::188] == b"G" * (len(part) // 188) for part in parts)
            assert all(part[1:3] == b"\x40\x11" or part[1:3] == b"\x40\x00" for part in parts), "tables come first"


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_ranges_of_keyframes_are_right_for_the_check_too_where_sound_comes_long_before(
    tmp_path: Path, segment_type: str
) -> None:
    late = numbered(tmp_path / "late.mkv", "gt(t,2.6)", seconds=8, sound_s=8)
    folder, _, _ = make(late, iframes=True, segmentType=segment_type)

    assert not check(folder).errors


def test_the_master_offers_keyframes_of_each_rendition_with_their_measured_rate(film: Path) -> None:
    folder, result, _ = make(film, iframes=True)

    offered = read_attributes(folder / "master.m3u8", "#EXT-X-I-FRAME-STREAM-INF:")
    assert [one["URI"] for one in offered] == ["high/iframes.m3u8", "low/iframes.m3u8"]
    for one, rendition in zip(offered, result["renditions"], strict=True):
        peak = max(8 * len(part) / s for part, s in zip(iframe_parts(folder / one["URI"]), (6, 6, 1), strict=True))
        assert int(one["BANDWIDTH"]) == pytest.approx(peak, abs=2)
        assert one["RESOLUTION"] == f"{rendition['width']}x{rendition['height']}"
        assert one["CODECS"] == rendition["codecs"].split(",")[0]


def plain_of(folder: Path, segment: str, key: Path, iv: int) -> bytes:
    """Decrypt a segment as RFC 8216bis section 5.2 says."""
    decryptor = Cipher(AES(key.read_bytes()), CBC(iv.to_bytes(16, "big"))).decryptor()
    content = decryptor.update((folder / segment).read_bytes()) + decryptor.finalize()
    padding = content[-1]
    assert 1 <= padding <= 16 and content[-padding:] == bytes([padding]) * padding
    return content[:-padding]


def test_segments_are_encrypted_whole_with_keys_that_rotate(film: Path) -> None:
    folder, result, log = make(film, encryption={"rotateEvery": 2})

    keys = sorted((folder / "keys").iterdir())
    assert [f"out/keys/{key.name}" for key in keys] == result["keys"] == ["out/keys/000.key", "out/keys/001.key"]
    assert len({key.read_bytes() for key in keys}) == 2 and {len(key.read_bytes()) for key in keys} == {16}
    assert not [line for line in log for key in keys if key.read_bytes().hex() in line]
    for name in ("high", "low"):
        text = (folder / name / "playlist.m3u8").read_text()
        assert [line for line in text.splitlines() if line.startswith(("#EXT-X-KEY", "seg"))] == [
            '#EXT-X-KEY:METHOD=AES-128,URI="../keys/000.key"',
            "segment_00000.ts",
            "segment_00001.ts",
            '#EXT-X-KEY:METHOD=AES-128,URI="../keys/001.key"',
            "segment_00002.ts",
        ]
        for number, key in enumerate((keys[0], keys[0], keys[1])):
            content = plain_of(folder / name, f"segment_{number:05}.ts", key, number)
            assert content[:1] == content[188:189] == b"G"
            with av.open(BytesIO(content), "r") as container:
                assert len(list(container.decode(video=0))) == (10 if number == 2 else 60)
    files = list(folder.glob("*/segment_*"))
    assert result["size"] == sum(path.stat().st_size for path in files), "sizes are those that players fetch"


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
def test_a_player_with_the_keys_sees_and_hears_all(tmp_path: Path, segment_type: str) -> None:
    source = tracks.three_languages(tmp_path / "film.mkv")
    more = {"audioTracks": "all", "subtitles": True, "segmentType": segment_type}

    folder, _, _ = make(source, encryption={"rotateEvery": 1}, **more)

    options = {"protocol_whitelist": "file,crypto,data", "allowed_extensions": "ALL"}
    for playlist, frames in (("high", 130), ("low", 130), ("audio-2-de", 610)):
        with av.open(str(folder / playlist / "playlist.m3u8"), options=options) as container:
            assert sum(1 for _ in container.decode(container.streams[0])) == pytest.approx(frames, abs=2)
    assert "EXT-X-KEY" not in (folder / "subtitles-1-en" / "playlist.m3u8").read_text()


def test_an_initialization_section_is_encrypted_with_a_vector_that_is_said(film: Path) -> None:
    folder, _, _ = make(film, encryption="aes-128", segmentType="fmp4")

    lines = (folder / "low" / "playlist.m3u8").read_text().splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("#EXT-X-KEY"))
    said = re.fullmatch(r'#EXT-X-KEY:METHOD=AES-128,URI="\.\./keys/000\.key",IV=0x([0-9a-f]{32})', lines[first])
    assert said and lines[first + 1] == '#EXT-X-MAP:URI="init.mp4"'
    key = folder / "keys" / "000.key"
    assert plain_of(folder / "low", "init.mp4", key, int(said[1], 16))[4:8] == b"ftyp"
    assert lines[first + 2] == '#EXT-X-KEY:METHOD=AES-128,URI="../keys/000.key"', "segments have their number again"
    assert b"moof" in plain_of(folder / "low", "segment_00001.m4s", key, 1)


def test_every_job_has_keys_of_its_own_and_a_lost_key_makes_it_new(film: Path) -> None:
    folder, _, _ = make(film, encryption="aes-128")
    first = (folder / "keys" / "000.key").read_bytes()
    assert make(film, encryption="aes-128")[1]["skipped"] is True

    (folder / "keys" / "000.key").unlink()
    assert make(film, encryption="aes-128")[1]["skipped"] is False
    assert (folder / "keys" / "000.key").read_bytes() != first
    assert make(film)[1]["skipped"] is False
    assert not list(folder.glob("keys/*")), "without encryption no key stays"
    assert read_stream(folder / "low" / "playlist.m3u8").times


def test_players_fetch_keys_from_where_they_are_told(film: Path) -> None:
    url = "https://keys.example/film/{key}?a=1&b=2"
    folder, result, _ = make(film, encryption={"keyUrl": url, "rotateEvery": 2})

    text = (folder / "high" / "playlist.m3u8").read_text()
    assert re.findall('URI="([^"]+)"', text) == [url.replace("{key}", number) for number in ("000", "001")]
    assert len(result["keys"]) == 2
    for key in result["keys"]:
        (film.parent / key).unlink()
    again = make(film, encryption={"keyUrl": url, "rotateEvery": 2})[1]
    assert again["skipped"] is True, "keys may have been taken to where players fetch them"


@pytest.mark.parametrize(
    ("wish", "mend"),
    [
        ({"iframes": True, "encryption": "aes-128"}, "leave out iframes or encryption"),
        ({"encryption": {"keyUrl": "https://keys.example/one", "rotateEvery": 5}}, "put {key} in it"),
        ({"encryption": {"keyUrl": 'https://keys.example/"x'}}, "pattern"),
        ({"encryption": {"keyUrl": "https://keys.example/{$x}"}}, "%7B"),
        ({"encryption": {"keyUrl": "https://keys.example/\n#EXT"}}, "pattern"),
        ({"encryption": "sample-aes"}, "aes-128"),
        ({"encryption": {"rotateEvery": 0}}, "greater than or equal to 1"),
        ({"audioTracks": ["english"]}, "audioTracks"),
        ({"audioTracks": []}, "audioTracks"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_mend(wish: dict[str, Any], mend: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(mend)):
        HlsPayload.model_validate({"inputPath": "a.mp4", "outputDir": "b", **wish})


@pytest.mark.parametrize("segment_type", ["ts", "fmp4"])
@pytest.mark.parametrize("wish", [{"iframes": True}, {"encryption": {"rotateEvery": 1}}])
def test_the_check_of_hls_streams_finds_nothing_wrong(tmp_path: Path, wish: dict[str, Any], segment_type: str) -> None:
    source = tracks.three_languages(tmp_path / "film.mkv")

    folder, _, _ = make(source, audioTracks="all", audioOnly=True, subtitles=True, segmentType=segment_type, **wish)

    assert [finding for finding in check(folder).findings if finding.severity is Severity.ERROR] == []


def test_an_attempt_after_one_that_died_while_encrypting_encrypts_nothing_twice(film: Path) -> None:
    payload = HlsPayload.model_validate(
        {"inputPath": film.name, "outputDir": "out", "qualities": QUALITIES, "encryption": "aes-128", "subtitles": True}
    )
    with (
        pytest.raises(ConnectionError),
        inline_job(film.parent, preload=("workers._hls_making",), is_tried_again=True) as run,
    ):
        hls(payload, run.job)
        raise ConnectionError

    with inline_job(film.parent, preload=("workers._hls_making",), attempt=2) as run:
        hls(payload, run.job)

    folder = film.parent / "out"
    for name in ("high", "low"):
        for number, frames in enumerate((60, 60, 10)):
            content = plain_of(folder / name, f"segment_{number:05}.ts", folder / "keys" / "000.key", number)
            with av.open(BytesIO(content), "r") as container:
                assert len(list(container.decode(video=0))) == frames


def test_what_a_store_gets_is_encrypted(film: Path, tmp_path: Path) -> None:
    payload = {"inputPath": film.name, "outputDir": "s3://media/sealed", "qualities": QUALITIES}
    more = {"encryption": "aes-128", "audioOnly": True, "subtitles": True, "poster": True}
    (tmp_path / "s3").mkdir()
    with running_store(tmp_path / "s3") as store:
        result = run_inline(hls, {**payload, **more}, root=tmp_path, account=store.account())

        assert result["keys"] == ["s3://media/sealed/keys/000.key"]
        names = [name for name in store.names() if name.startswith("sealed/")]
        (tmp_path / "fetched").mkdir()
        for name in names:
            place = tmp_path / "fetched" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(store.get(name))
    folder = tmp_path / "fetched" / "sealed"
    assert {"master.m3u8", "poster.jpg", "keys/000.key", "audio-1/playlist.m3u8"} <= {
        name.removeprefix("sealed/") for name in names
    }
    for name, count in (("high", 3), ("low", 3), ("audio-1", 3)):
        for number in range(count):
            segment = f"segment_{number:05}.ts"
            assert plain_of(folder / name, segment, folder / "keys" / "000.key", number)[::188].strip(b"G") == b""
