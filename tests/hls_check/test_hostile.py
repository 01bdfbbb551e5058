"""Folders made to harm their checker: it tells what they are, opens nothing else, and ends."""

import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.hls_check.breaking import FIRST, HIGH, IFRAMES, LOW, MASTER, ONLY, SECOND, TEXT, edit, rules
from workplatform.hls_check import check
from workplatform.hls_check.entries import EntryReader
from workplatform.hls_check.facts import Facts, Order, Source
from workplatform.hls_check.findings import Findings, Report
from workplatform.hls_check.folder import Folder
from workplatform.hls_check.media import read_media
from workplatform.hls_check.probe import probe
from workplatform.hls_check.reading import segment_reader
from workplatform.hls_check.streams import Piece, Stream


def crash(_order: Order) -> NoReturn:
    """End as native code does that follows a wrong pointer."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def hang(_order: Order) -> NoReturn:
    """Never answer."""
    while True:
        signal.pause()


def under_a_limit(order: Order) -> Facts:
    """Read a segment where no more memory may be asked for than a limit of the system."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    return probe(order)


class Counted(list[Piece]):
    """Segments that count how many of them are looked at in a row."""

    given = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.given += len(found) if isinstance(place, slice) else 1
        return found


def read_with(reads: Callable[[Order], Facts], folder: Path, *, patience_s: float = 30.0) -> Report:
    """Read the segments of one playlist by another function than the real one."""
    findings = Findings()
    place = Folder(folder, findings)
    entries = EntryReader(HIGH, findings).read((folder / HIGH).read_bytes())
    with segment_reader(place, findings, None) as reader:
        reader.probe, reader.patience_s = reads, patience_s
        reader.stream(read_media(HIGH, entries, findings))
    return findings.report(playlists=1, segments=reader.read)


def test_a_segment_that_crashes_its_reader_is_a_finding(good_ts: Path) -> None:
    report = read_with(crash, good_ts)

    assert rules(report) == {"segment-crash"}
    assert [finding.line for finding in report.findings] == [8, 10, 12]
    assert "SIGSEGV" in report.findings[0].message


def test_a_segment_that_holds_up_its_reader_is_a_finding(good_ts: Path) -> None:
    report = read_with(hang, good_ts, patience_s=0.1)

    assert rules(report) == {"segment-crash"}
    assert "within 0.1 s" in report.findings[0].message


def test_after_some_crashes_the_rest_is_left_unread(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "hostile")
    edit(HIGH, "^#EXT-X-ENDLIST", "#EXTINF:2.0,\nsegment_00000.ts\n" * 20 + "#EXT-X-ENDLIST")(folder)

    report = read_with(crash, folder)

    assert {"segment-crash", "check-stopped"} <= rules(report)
    assert sum(finding.rule == "segment-crash" for finding in report.findings) < 10


def test_a_reader_that_crashed_is_followed_by_another(good_ts: Path) -> None:
    findings = Findings()
    order = Order(Source(good_ts / FIRST))
    with segment_reader(Folder(good_ts, findings), findings, None) as reader:
        reader.probe = crash
        assert isinstance(reader._facts(order), str)
        reader.probe = probe
        facts = reader._facts(order)
    assert isinstance(facts, Facts) and facts.video is not None


def test_a_pipe_is_not_opened(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "pipe")
    for name in (LOW, SECOND):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    assert "file-missing" in rules(check(folder))


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, os.urandom(5000), b"#EXTM3U", b"\xff\xfe#\0E\0X\0T\0M\03\0U\0"])
def test_junk_is_no_playlist(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "master.m3u8").write_bytes(content)

    assert check(tmp_path).errors


def test_a_playlist_that_names_itself_and_a_circle_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "loop.m3u8").symlink_to("loop.m3u8")
    (tmp_path / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmaster.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nloop.m3u8\n"
    )

    assert {"playlist-nested", "uri-leaves-folder"} <= rules(check(tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        "#EXT-X-STREAM-INF:" + "A=" * 200_000,
        "#EXT-X-STREAM-INF:" + 'A="' * 200_000,
        "#EXTINF:" + "9" * 100_000 + ",",
        "#EXT-X-KEY:METHOD=AES-128,IV=0x" + "f" * 100_000,
        "#EXT-X-TARGETDURATION:" + "9" * 5000,
        "{$" * 100_000,
        "a/" * 100_000 + "b.ts",
        "%00",
        "http://[",
        "\\\\host\\share",
    ],
    ids=lambda line: line[:20],
)
def test_monstrous_lines_are_told_and_cost_little(line: str, good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "hostile")
    (folder / HIGH).write_text((folder / HIGH).read_text() + line + "\n")

    assert check(folder).errors


def test_variables_within_variables_do_not_fill_the_memory(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "hostile")
    lines = ["#EXT-X-VERSION:8", '#EXT-X-DEFINE:NAME="v0",VALUE="1234567890"']
    lines += [f'#EXT-X-DEFINE:NAME="v{n + 1}",VALUE="{{$v{n}}}{{$v{n}}}"' for n in range(60)]
    edit(HIGH, "^#EXT-X-VERSION.*", "\n".join(lines))(folder)

    assert "variable" in rules(check(folder / HIGH, reads_media=False))


def test_a_long_playlist_costs_no_more_than_its_length() -> None:
    findings = Findings()
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1000000", *["#EXTINF:0.001,", FIRST] * 3000]
    playlist = read_media(HIGH, EntryReader(HIGH, findings).read("\n".join(lines).encode()), findings)
    pieces = Counted(Piece(segment, None, 10) for segment in playlist.segments)

    assert Stream(playlist, pieces).peak_bps == Stream(playlist, pieces).average_bps
    assert pieces.given < 1_000_000


def test_a_key_with_an_endless_name_is_missing(good_encrypted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_encrypted, tmp_path / "hostile")
    edit(ONLY, 'URI="../keys/000.key', 'URI="https://example.com/' + "k" * 400)(folder)

    assert "file-missing" in rules(check(folder, keys=folder / "keys"))


def test_a_limit_of_the_system_is_kept(good_ts: Path) -> None:
    assert read_with(under_a_limit, good_ts).findings == ()


def test_no_chance_change_of_playlists_breaks_the_checker(good_ts: Path, tmp_path: Path) -> None:
    chance = random.Random(20)
    folder = shutil.copytree(good_ts, tmp_path / "hostile")
    pieces = [b'"', b",", b"\n", b"#EXT", b"=", b"-1", b"0", b"99999999999999999999", b"@", b"\xff", b"../", b"x", b""]
    for _ in range(150):
        name = chance.choice([MASTER, HIGH, LOW, TEXT, IFRAMES])
        data = (good_ts / name).read_bytes()
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data = data[:at] + chance.choice(pieces) + data[at + chance.randint(0, 12) :]
        (folder / name).write_bytes(data)
        assert check(folder, reads_media=False).playlists <= 6
        shutil.copy(good_ts / name, folder / name)


def test_no_chance_change_of_a_segment_breaks_the_checker(good_ts: Path, tmp_path: Path) -> None:
    chance = random.Random(21)
    folder = shutil.copytree(good_ts, tmp_path / "hostile")
    data = (good_ts / FIRST).read_bytes()
    names = [f"segment_{number:05}.ts" for number in range(40)]
    for name in names:
        changed = bytearray(data)
        for _ in range(chance.choice([1, 10, 400])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        (folder / "high" / name).write_bytes(changed)
    lines = "".join(f"#EXTINF:2.0,\n{name}\n" for name in names)
    (folder / HIGH).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{lines}#EXT-X-ENDLIST\n")

    report = check(folder / HIGH)

    assert report.segments == 40
    assert "segment-crash" not in rules(report)
