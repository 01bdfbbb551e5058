"""`workplatform doctor hls` as its user calls it: exit codes, words, JSON, and a terminal that stays whole."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_command_line import run
from tests.hls_check.breaking import HIGH, edit
from tests.hls_check.folders import transport_streams


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without faults."""
    return transport_streams(tmp_path_factory.mktemp("good"))


def test_a_good_folder_ends_with_code_0(good: Path, tmp_path: Path) -> None:
    ended = run("doctor", "hls", str(good), cwd=tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "0 errors, 0 warnings in 6 playlists with 15 segments\n"


def test_errors_are_told_with_place_rule_section_and_mend_and_end_with_code_1(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "broken")
    edit(HIGH, "TARGETDURATION:2", "TARGETDURATION:1")(folder)

    ended = run("doctor", "hls", str(folder / "master.m3u8"), cwd=tmp_path)

    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("error    high/playlist.m3u8:")
    assert lines[0].endswith("[targetduration-exceeded, RFC 8216bis 4.4.3.1]")
    assert lines[1].strip() == "mend: write the longest #EXTINF, rounded, as target duration"


def test_json_has_the_same_and_warnings_alone_end_with_code_0(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "broken")
    edit("master.m3u8", r"^#EXT-X-I-FRAME.*\n", "")(folder)

    ended = run("doctor", "hls", "--json", str(folder), cwd=tmp_path)

    assert ended.returncode == 0
    document = json.loads(ended.stdout)
    assert (document["errors"], document["warnings"], document["playlists"], document["segments"]) == (0, 1, 5, 12)
    (finding,) = document["findings"]
    assert (finding["severity"], finding["rule"], finding["file"]) == ("warning", "no-iframe-playlist", "master.m3u8")
    assert set(finding) == {"severity", "rule", "reference", "file", "line", "message", "mend"}


def test_segments_may_be_left_unread(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "broken")
    (folder / "high" / "segment_00001.ts").write_bytes(b"junk")

    ended = run("doctor", "hls", "--playlists-only", str(folder / HIGH), cwd=tmp_path)

    assert ended.stdout == "0 errors, 0 warnings in 1 playlist with 0 segments\n"


def test_what_a_playlist_says_cannot_command_the_terminal(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "hostile")
    edit(HIGH, "^segment_00001.ts", "\x1b]0;owned\x07.ts")(folder)

    ended = run("doctor", "hls", str(folder), cwd=tmp_path)

    assert ended.returncode == 1
    assert "\x1b" not in ended.stdout and "owned" in ended.stdout


@pytest.mark.parametrize("words", [["nowhere"], ["--root", ".", "/"]])
def test_a_path_that_cannot_be_checked_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    ended = run("doctor", "hls", *words, cwd=tmp_path)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_a_folder_without_a_master_playlist_is_an_error_that_names_it(tmp_path: Path) -> None:
    ended = run("doctor", "hls", ".", cwd=tmp_path)

    assert ended.returncode == 1
    assert "master.m3u8" in ended.stdout
