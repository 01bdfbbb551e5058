"""Resuming HLS jobs: nothing is lost, doubled or shifted where another attempt goes on, nothing is trusted blindly."""

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.workers import _samples_video as samples
from tests.workers._seams import die_after, left_by, tapes, work
from workplatform.hls_check import check

SECONDS = 30
LIST = "playlist.m3u8"


def film(path: Path, *options: object, rate: object = 10, sound: int = 48000) -> Path:
    """Make a film of five groups whose keyframes are elsewhere."""
    picture, tone = samples.picture("160x90", rate, SECONDS), samples.tone(SECONDS, rate=sound)
    samples.ffmpeg(*picture, *tone, "-c:v", "libx264", "-preset", "ultrafast", "-g", 47, "-c:a", "aac", *options, path)
    return path


def uneven(path: Path) -> Path:
    return film(path, "-vf", "select='lt(mod(n,50),20)+not(mod(n,3))'", "-fps_mode", "vfr", rate=15)


def standing(path: Path) -> Path:
    return film(path, "-vf", "select='lt(mod(n,70),20)+not(mod(n,42))'", "-fps_mode", "vfr")


SOURCES: dict[str, Callable[[Path], Path]] = {
    "film.mp4": lambda path: film(path, "-bf", 2),
    "stream.ts": lambda path: film(path, "-bf", 2, rate="30000/1001", sound=44100),
    "uneven.mkv": uneven,
    "standing.mkv": standing,
    "screen.ts": lambda path: film(path, "-vf", "select='lt(t,2)+between(t,9,10)+gt(t,25)'", "-fps_mode", "vfr"),
    "slides.mp4": lambda path: film(path, rate=Fraction(1, 8)),
    "fast.mkv": lambda path: film(path, sound=22050, rate="64000/1001"),
    "falls-silent.mp4": lambda path: film(path, "-filter:a", "atrim=end=8"),
}

STANDING = ("standing.mkv", "screen.ts")


def gone_on(source: Path) -> list[tuple[str, str]]:
    """Kill an attempt and go on; return the playlists of each rendition, resumed and made at once, after all checks."""
    work(source, out="whole")
    die_after(source, 3)
    log = work(source, attempt=2)
    assert "going on after 3 groups of segments that an earlier attempt has made" in log
    assert not [line for line in log if "not possible" in line]
    resumed, whole = tapes(source.parent / "out"), tapes(source.parent / "whole")
    assert resumed == whole
    assert all(tape.breaks == 0 and tape.decoded == len(tape.pictures) > SECONDS for tape in resumed.values())
    assert not list(source.parent.glob(".job_*"))
    places = [(source.parent / out / name for out in ("out", "whole")) for name in ("high", "low")]
    return [(out.joinpath(LIST).read_text(), whole.joinpath(LIST).read_text()) for out, whole in places]


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in STANDING])
def test_the_next_attempt_goes_on_after_the_last_complete_group_without_a_trace(tmp_path: Path, name: str) -> None:
    for resumed, whole in gone_on(SOURCES[name](tmp_path / name)):
        assert resumed == whole


@pytest.mark.parametrize("name", STANDING)
def test_where_pictures_stand_it_goes_on_too(tmp_path: Path, name: str) -> None:
    for resumed, whole in gone_on(SOURCES[name](tmp_path / name)):
        # How long the last picture stands, the muxer may count otherwise.
        assert resumed.rpartition("#EXTINF")[0] == whole.rpartition("#EXTINF")[0]


@pytest.mark.parametrize("name", ["film.mp4", "standing.mkv", "slides.mp4"])
def test_fragments_of_mp4_go_on_too(tmp_path: Path, name: str) -> None:
    source = SOURCES[name](tmp_path / name)
    work(source, out="whole", segmentType="fmp4")
    die_after(source, 2, segmentType="fmp4")
    log = work(source, attempt=2, segmentType="fmp4")
    assert "going on after 2 groups of segments that an earlier attempt has made" in log
    assert not [line for line in log if "not possible" in line]
    assert tapes(tmp_path / "out") == tapes(tmp_path / "whole")


def test_beside_a_copied_rendition_the_others_go_on(tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    film(source, "-g", 60, "-keyint_min", 60, "-sc_threshold", 0)
    work(source, out="whole", passthrough=True)
    die_after(source, 3, passthrough=True)
    log = work(source, attempt=2, passthrough=True)
    assert "going on after 4 groups of segments that an earlier attempt has made" in log
    assert not [line for line in log if "not possible" in line or "is encoded too" in line]
    assert tapes(tmp_path / "out") == tapes(tmp_path / "whole")


def test_a_changed_source_starts_over(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    die_after(source, 3)
    os.utime(source, ns=(0, 0))
    assert not [line for line in work(source, attempt=2) if "going on" in line]


def test_one_group_is_not_worth_going_on_with(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    die_after(source, 1)
    assert not [line for line in work(source, attempt=2) if "going on" in line]
    assert len(tapes(tmp_path / "out")["low"].pictures) == SECONDS * 10


def test_segments_that_were_encrypted_already_are_made_again(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    die_after(source, 3, encryption="aes-128")
    assert not [line for line in work(source, attempt=2, encryption="aes-128") if "going on" in line]
    assert not check(tmp_path / "out").errors


def test_groups_that_do_not_fit_are_made_again(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4")
    work(source, out="whole")
    die_after(source, 3)
    left = left_by(source)
    for number in (1, 2):
        # In its place, so that it still counts as finished: the pictures of another group.
        place, other = left / "low" / f"segment_0000{number}.ts", tmp_path / "whole" / "low" / "segment_00004.ts"
        ledger = left.with_name(left.name.replace(".part", ".files.part"))
        place.write_bytes(other.read_bytes())
        found = place.stat()
        with ledger.open("a") as lines:
            lines.write(f'["low/{place.name}", {found.st_size}, {found.st_mtime_ns}]\n')
    log = work(source, attempt=2)
    assert [line for line in log if "going on there is not possible" in line]
    assert tapes(tmp_path / "out") == tapes(tmp_path / "whole")
