"""Playlists: what is read of produced ones, and what the master says."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from workers._hls_master import OWNED, Package, Variant, master_playlist, read_package
from workers._hls_measure import lone_rate
from workers._hls_playlist import (
    SEGMENT_PATTERN,
    IncompletePlaylistError,
    MediaPlaylist,
    Segment,
    media_playlist,
    read_media_playlist,
)

VARIANT = Variant("720p", 1280, 720, "avc1.64001f,mp4a.40.2", 30000 / 1001, 2_900_000, 2_500_000)


def segments(*pairs: tuple[float, int]) -> MediaPlaylist:
    return MediaPlaylist(tuple(Segment(f"segment_{n:05}.ts", s, size) for n, (s, size) in enumerate(pairs)))


def a_package(folder: Path, origin: str = "abc") -> Path:
    (folder / "720p").mkdir(parents=True)
    playlist = segments((6.0, 1000), (1.5, 1000))
    (folder / "720p" / "playlist.m3u8").write_text(media_playlist(playlist))
    for number in range(2):
        (folder / "720p" / f"segment_0000{number}.ts").write_bytes(b"x" * 1000)
    (folder / "master.m3u8").write_text(master_playlist(Package((VARIANT,), (playlist,)), origin))
    return folder


@pytest.mark.parametrize(
    ("pairs", "peak", "average"),
    [
        ([(6.0, 6000), (6.0, 9000)], 12_000, 10_000),
        ([(6.0, 6000), (2.0, 4000)], 16_000, 10_000),
        ([(6.0, 6000), (0.5, 4000)], 12_308, 12_308),
        ([(0.5, 1000)], 16_000, 16_000),
        ([(6.0, 6000)] * 500 + [(0.04, 100_000)], 140_398, 8_266),
    ],
)
def test_bandwidth_is_that_of_the_most_demanding_run(pairs: list[tuple[float, int]], peak: int, average: int) -> None:
    playlist = segments(*pairs)

    assert playlist.peak_bandwidth == pytest.approx(peak, abs=1)
    assert playlist.average_bandwidth == pytest.approx(average, abs=1)


def test_the_master_says_all_that_players_choose_by() -> None:
    assert master_playlist(Package((VARIANT,), (segments((6.0, 1000)),)), "abc").splitlines()[-2:] == [
        '#EXT-X-STREAM-INF:BANDWIDTH=2900000,AVERAGE-BANDWIDTH=2500000,CODECS="avc1.64001f,mp4a.40.2",'
        "RESOLUTION=1280x720,FRAME-RATE=29.970",
        "720p/playlist.m3u8",
    ]


@pytest.mark.parametrize(
    ("source_rate", "duration_s", "rate"),
    [(Fraction(25), 0.5, 25), (None, 0.5, 2), (None, 0.001, 60), (Fraction(90_000), 0.5, 60)],
)
def test_a_single_picture_has_its_sources_rate_or_that_of_its_length(
    source_rate: Fraction | None, duration_s: float, rate: float
) -> None:
    assert lone_rate(source_rate, duration_s) == rate


def test_a_frame_rate_is_never_said_to_be_zero() -> None:
    slow = replace(VARIANT, frame_rate=1 / 3600)

    assert ",FRAME-RATE=0.001\n" in master_playlist(Package((slow,), (segments((6.0, 1000)),)), "abc")


def test_owned_are_the_names_that_the_handler_writes_and_no_others(tmp_path: Path) -> None:
    ours = {"720p/playlist.m3u8", "720p/iframes.m3u8", "720p/init.mp4", "720p/segment_00000.m4s", "poster.jpg"}
    ours |= {"subtitles-1-en/segment_00000.vtt", "keys/000.key", "keys/12345.key"}
    ours |= {f"720p/{SEGMENT_PATTERN % number}" for number in (0, 99_999, 100_000)}
    others = {"playlist.m3u8", "segment_00000.ts", "720p/segment_1.ts", "720p/segment_00000-cut.ts", "720p/notes.txt"}
    others |= {"keys/private.key", "000.key", "init.mp4", "720p/poster.jpg", "720p/segment_00000.mp4"}
    others |= {"720p/my.playlist.m3u8", "720p/old/segment_00000.ts", "720p/segment_00000.ts.bak", "master.m3u8"}
    for name in ours | others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert {str(path.relative_to(tmp_path)) for pattern in OWNED for path in tmp_path.glob(pattern)} == ours


def test_a_complete_package_is_read_back(tmp_path: Path) -> None:
    package = read_package(a_package(tmp_path), ["720p"], "abc")

    assert package.playlists[0].duration_s == 7.5
    assert package.playlists[0].size_bytes == 2000
    assert package.variants[0].codecs == VARIANT.codecs
    assert package.variants[0].frame_rate == VARIANT.frame_rate


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "master.m3u8").unlink(),
        lambda folder: (folder / "720p" / "playlist.m3u8").unlink(),
        lambda folder: (folder / "720p" / "segment_00001.ts").unlink(),
        lambda folder: (folder / "720p" / "segment_00001.ts").write_bytes(b""),
        lambda folder: (folder / "720p" / "playlist.m3u8").write_text("#EXTM3U\n#EXTINF:6,\nsegment_00000.ts\n"),
        lambda folder: (folder / "720p" / "playlist.m3u8").write_text("#EXTM3U\n#EXT-X-ENDLIST\n"),
        lambda folder: (folder / "720p" / "playlist.m3u8").write_text(
            "#EXTM3U\n#EXTINF:6,\n../../secret\n#EXT-X-ENDLIST\n"
        ),
        lambda folder: (folder / "master.m3u8").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "master.m3u8").write_text(master_playlist(Package((VARIANT,), ()), "another source")),
        lambda folder: (folder / "master.m3u8").write_text(master_playlist(Package((), ()), "abc")),
        lambda folder: (folder / "master.m3u8").write_text(
            (folder / "master.m3u8").read_text().replace(",FRAME-RATE=29.970", "")
        ),
        lambda folder: (folder / "master.m3u8").write_text("# made from abc\n#EXT-X-STREAM-INF:X\n720p/playlist.m3u8"),
        lambda folder: (folder / "720p" / "playlist.m3u8").write_text(
            "#EXTM3U\n#EXTINF:six,\nsegment_00000.ts\n#EXT-X-ENDLIST\n"
        ),
    ],
)
def test_a_damaged_or_different_package_is_not_complete(tmp_path: Path, damage: object) -> None:
    folder = a_package(tmp_path)
    assert callable(damage)
    damage(folder)

    with pytest.raises(IncompletePlaylistError):
        read_package(folder, ["720p"], "abc")


@pytest.mark.parametrize(("durations", "target_s"), [((0.3,), 1), ((6.0, 6.49), 6), ((6.5,), 7), ((5.9, 1.2), 6)])
def test_the_target_duration_is_the_longest_segment_rounded_and_never_zero(
    durations: tuple[float, ...], target_s: int
) -> None:
    text = media_playlist(segments(*((s, 1000) for s in durations)))

    assert f"#EXT-X-TARGETDURATION:{target_s}\n" in text


def test_what_is_written_is_read_back_with_keys_ranges_and_initialization(tmp_path: Path) -> None:
    keys = ('#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/0"',)
    for name, size in (("init.mp4", 10), ("segment_00000.m4s", 1000), ("segment_00001.m4s", 500)):
        (tmp_path / name).write_bytes(b"x" * size)
    written = MediaPlaylist(
        (Segment("segment_00000.m4s", 6.0, 300, 40, keys), Segment("segment_00001.m4s", 2.5, 500)),
        ('#EXT-X-MAP:URI="init.mp4"',),
    )
    (tmp_path / "playlist.m3u8").write_text(media_playlist(written))

    assert read_media_playlist(tmp_path / "playlist.m3u8") == written
    (tmp_path / "init.mp4").unlink()
    with pytest.raises(IncompletePlaylistError, match=r"init\.mp4 is missing"):
        read_media_playlist(tmp_path / "playlist.m3u8")


def test_a_playlist_that_may_still_grow_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "segment_00000.ts").write_bytes(b"x")
    (tmp_path / "playlist.m3u8").write_text(media_playlist(segments((6.0, 1)), kind="EVENT", is_complete=False))

    with pytest.raises(IncompletePlaylistError, match="not finished"):
        read_media_playlist(tmp_path / "playlist.m3u8")
