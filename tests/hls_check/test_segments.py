"""Segments broken in every way that playlists cannot show: what they promise is compared with the bytes."""

import shutil
from pathlib import Path

import pytest

from tests.hls_check.breaking import (
    FIRST,
    HIGH,
    IFRAMES,
    LAST,
    MASTER,
    ONLY,
    SECOND,
    Break,
    all_of,
    bytes_of,
    copy,
    edit,
    found,
    rules,
    swap,
)
from tests.hls_check.folders import PICTURES, SEGMENT_S, SOUND, rendition
from tests.workers._samples_video import ffmpeg, picture, tone
from workplatform.hls_check import Severity, check

PACKET = 188
KEYS_OF_TWO = (*PICTURES, "-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_S})")
CUE = "text/segment_00001.vtt"
CAPTION = r"00:00:02.500 --> 00:00:03.500"


def without_packets(data: bytes) -> bytes:
    """Drop every second packet after the tables."""
    packets = [data[at : at + PACKET] for at in range(0, len(data), PACKET)]
    return b"".join(packet for number, packet in enumerate(packets) if number < 4 or number % 2)


def damaged(data: bytes) -> bytes:
    """Overwrite what is in the packets behind the tables, and leave their heads."""
    packets = [data[at : at + PACKET] for at in range(0, len(data), PACKET)]
    return b"".join([*packets[:4], *(packet[:20] + b"\x55" * (PACKET - 20) for packet in packets[4:])])


NULL_PACKET = b"\x47\x1f\xff\x10" + bytes(PACKET - 4)
BROKEN: dict[str, tuple[Break, str]] = {
    "tables behind media": (
        bytes_of(SECOND, lambda data: data[3 * PACKET : 4 * PACKET] + data[: 3 * PACKET] + data[4 * PACKET :]),
        "ts-tables-late",
    ),
    "times that do not rise": (bytes_of(SECOND, lambda data: data + data), "timestamps-rise"),
    "a peak far above the average": (
        bytes_of(SECOND, lambda data: data + 5000 * NULL_PACKET),
        "peak-far-above-average",
    ),
    "a sample entry that Apple does not take": (edit(MASTER, "avc1[^,]*", "hev1.1.6.L93.B0"), "hev1"),
    "a missing segment": (lambda folder: (folder / SECOND).unlink(), "file-missing"),
    "an empty segment": (lambda folder: (folder / SECOND).write_bytes(b""), "file-empty"),
    "a folder as segment": (edit(HIGH, "^segment_00001.ts", "."), "file-missing"),
    "text as segment": (lambda folder: (folder / SECOND).write_text("<html>404</html>"), "segment-format"),
    "a cut segment": (bytes_of(SECOND, lambda data: data[: len(data) // 2 + 7]), "ts-packets"),
    "lost sync": (bytes_of(SECOND, lambda data: data[: 5 * PACKET] + data[5 * PACKET + 1 :] + b"\0"), "ts-packets"),
    "no tables": (bytes_of(SECOND, lambda data: data[3 * PACKET :]), "ts-tables"),
    "lost packets": (bytes_of(SECOND, without_packets), "ts-counters"),
    "damage behind the head": (bytes_of(SECOND, damaged), "picture-damaged"),
    "segments in another order": (swap(FIRST, SECOND), "timestamps-overlap"),
    "a segment again": (copy(FIRST, SECOND), "timestamps-overlap"),
    "a segment left out": (
        all_of(copy(LAST, SECOND), edit(HIGH, r"^#EXTINF.*\nsegment_00002.ts\n", "")),
        "timestamps-gap",
    ),
    "a segment of another size": (copy("low/segment_00001.ts", SECOND), "tracks-change"),
    "sound among pictures": (copy("sound/segment_00001.ts", SECOND), "tracks-change"),
    "a wrong length": (edit(HIGH, "^#EXTINF:2.0*,", "#EXTINF:1.2,"), "extinf-wrong"),
    "an inexact length": (edit(HIGH, "^#EXTINF:2.0*,", "#EXTINF:1.8,"), "extinf-inexact"),
    "lengths that add up": (edit(HIGH, "^#EXTINF:2.0*,", "#EXTINF:1.75,", count=3), "duration-drift"),
    "an I-frame that is none": (
        edit(IFRAMES, r"^#EXT-X-BYTERANGE:(\d+)@0", rf"#EXT-X-BYTERANGE:{20 * PACKET}@{60 * PACKET}"),
        "iframe-no-keyframe",
    ),
    "an I-frame with others": (
        all_of(edit(IFRAMES, r"^#EXT-X-BYTERANGE:\d+@0", f"#EXT-X-BYTERANGE:{80 * PACKET}@0")),
        "iframe-more",
    ),
    "an I-frame too early": (edit(IFRAMES, "^#EXTINF:2.000", "#EXTINF:1.500"), "iframe-extinf"),
    "half a packet of an I-frame": (edit(IFRAMES, r"^(#EXT-X-BYTERANGE:\d+)@0", r"\1@94"), "segment-unreadable"),
    "no WEBVTT": (edit(CUE, "^WEBVTT", "WEBVT"), "segment-format"),
    "a cue with a comma": (edit(CUE, CAPTION, "00:00:02,500 --> 00:00:03,500"), "webvtt"),
    "a cue that ends early": (edit(CUE, CAPTION, "00:00:03.500 --> 00:00:02.500"), "webvtt"),
    "a map that cannot be read": (edit(CUE, "MPEGTS:", "MPEG:"), "webvtt"),
    "no map": (edit(CUE, r"^X-TIMESTAMP.*\n", ""), "timestamp-map-missing"),
    "another clock of subtitles": (edit(CUE, r"MPEGTS:\d+", "MPEGTS:900000"), "cue-outside"),
    "a cue of another time": (edit(CUE, CAPTION, "00:01:02.500 --> 00:01:03.500"), "cue-outside"),
    "pictures of another rendition": (
        all_of(*(copy(f"low/segment_0000{n}.ts", f"high/segment_0000{n}.ts") for n in range(3))),
        "resolution-wrong",
    ),
    "a path out of the folder": (edit(HIGH, "^segment_00001", "../../segment_00001"), "uri-leaves-folder"),
    "an encoded path out of the folder": (
        edit(HIGH, "^segment_00001", "%2e%2e/%2e%2e/segment_00001"),
        "uri-leaves-folder",
    ),
    "an absolute path": (edit(HIGH, "^segment_00001.ts", "/etc/passwd"), "uri-leaves-folder"),
    "a link out of the folder": (
        all_of(lambda folder: (folder / SECOND).unlink(), lambda folder: (folder / SECOND).symlink_to("/etc/passwd")),
        "uri-leaves-folder",
    ),
    "a URL": (edit(HIGH, "^segment_00001.ts", "https://example.com/segment.ts"), "uri-not-local"),
    "a file URL": (edit(HIGH, "^segment_00001.ts", "file:///etc/passwd"), "uri-not-local"),
    "a URL of a playlist": (edit(MASTER, "^low/", "//example.com/low/"), "uri-not-local"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_segment_is_told_by_its_rule(name: str, good_ts: Path, tmp_path: Path) -> None:
    change, rule = BROKEN[name]
    folder = shutil.copytree(good_ts, tmp_path / "broken")
    change(folder)

    assert rule in rules(check(folder))


FRAGMENTS: dict[str, tuple[Break, str]] = {
    "an encrypted init without IV": (
        edit(ONLY, "^#EXT-X-MAP", '#EXT-X-KEY:METHOD=AES-128,URI="init.mp4"\n#EXT-X-MAP'),
        "map-iv",
    ),
    "no map": (edit(ONLY, r"^#EXT-X-MAP.*\n", ""), "fmp4-init"),
    "a missing init": (lambda folder: (folder / "only" / "init.mp4").unlink(), "file-missing"),
    "a segment as init": (edit(ONLY, "init.mp4", "segment_00000.m4s"), "fmp4-init"),
    "an init cut short": (bytes_of("only/init.mp4", lambda data: data[:-40]), "fmp4-init"),
    "a map in version 5": (edit(ONLY, "VERSION:.*$", "VERSION:5"), "version-too-low"),
    "a segment cut short": (bytes_of("only/segment_00001.m4s", lambda data: data[:-100]), "fmp4-boxes"),
    "no times": (bytes_of("only/segment_00001.m4s", lambda data: data.replace(b"tfdt", b"free")), "fmp4-boxes"),
    "an order": (swap("only/segment_00000.m4s", "only/segment_00001.m4s"), "timestamps-overlap"),
}


@pytest.mark.parametrize("name", FRAGMENTS)
def test_broken_fragments_are_told_by_their_rule(name: str, good_fmp4: Path, tmp_path: Path) -> None:
    change, rule = FRAGMENTS[name]
    folder = shutil.copytree(good_fmp4, tmp_path / "broken")
    change(folder)

    assert rule in rules(check(folder))


KEYED: dict[str, tuple[Break, str]] = {
    "another key": (lambda folder: (folder / "keys" / "000.key").write_bytes(b"0123456789abcdef"), "decryption"),
    "a short key": (lambda folder: (folder / "keys" / "000.key").write_bytes(b"0123"), "key-length"),
    "a missing key": (lambda folder: (folder / "keys" / "000.key").unlink(), "file-missing"),
    "a remote key": (edit(ONLY, 'URI="../', 'URI="https://keys.example.com/'), "uri-not-local"),
    "a key outside": (edit(ONLY, 'URI="../', 'URI="../../'), "uri-leaves-folder"),
    "no key line": (edit(ONLY, r"^#EXT-X-KEY.*\n", ""), "segment-format"),
    "no key URI": (edit(ONLY, r'URI="[^"]*",?', ""), "key-uri"),
    "another IV": (edit(ONLY, "IV=0x0", "IV=0x1"), "segment-format"),
    "a short IV": (edit(ONLY, "IV=0x00", "IV=0x"), "key-iv"),
    "an end of encryption": (edit(ONLY, "^(segment_00000.ts)", r"\1\n#EXT-X-KEY:METHOD=NONE"), "key-mixed"),
    "an end with a URI": (edit(ONLY, "^(segment_00000.ts)", r'\1\n#EXT-X-KEY:METHOD=NONE,URI="a"'), "key-none"),
    "an unknown method": (edit(ONLY, "METHOD=AES-128", "METHOD=AES-256"), "attribute-value"),
    "a method that we do not open": (edit(ONLY, "METHOD=AES-128", "METHOD=SAMPLE-AES"), "key-unknown"),
    "half a block": (bytes_of("only/segment_00001.ts", lambda data: data[:-8]), "decryption"),
}


@pytest.mark.parametrize("name", KEYED)
def test_broken_encryption_is_told_by_its_rule(name: str, good_encrypted: Path, tmp_path: Path) -> None:
    change, rule = KEYED[name]
    folder = shutil.copytree(good_encrypted, tmp_path / "broken")
    change(folder)

    assert rule in rules(check(folder))


@pytest.mark.parametrize("kind", ["good_fmp4", "good_encrypted"])
def test_good_fragments_and_good_encrypted_segments_have_no_errors(kind: str, request: pytest.FixtureRequest) -> None:
    report = check(request.getfixturevalue(kind))

    assert rules(report) == {"no-iframe-playlist", "no-audio-group", "single-variant"}
    assert report.errors == 0
    assert report.segments == 3


def test_keys_of_remote_addresses_may_be_given_by_folder(good_encrypted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_encrypted, tmp_path / "remote")
    edit(ONLY, 'URI="../keys', 'URI="https://keys.example.com/films')(folder)

    assert not check(folder, keys=folder / "keys").errors
    assert "uri-not-local" not in rules(check(folder, keys=folder / "keys"))


def test_a_media_playlist_alone_may_need_a_wider_root(good_encrypted: Path) -> None:
    assert "uri-leaves-folder" in rules(check(good_encrypted / ONLY))
    assert check(good_encrypted / ONLY, root=good_encrypted).findings == ()


@pytest.mark.parametrize(("is_promised", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)])
def test_a_segment_without_a_keyframe_is_an_error_where_independence_is_promised(
    is_promised: bool, severity: Severity, tmp_path: Path
) -> None:
    folder = tmp_path / "torn"
    split = ("-hls_flags", "split_by_time")
    ffmpeg(*picture(size="160x90", duration=4), *rendition(folder, *PICTURES, "-g", 1000, after=split))
    if is_promised:
        edit("playlist.m3u8", "^#EXT-X-VERSION.*", "#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS")(folder)
    finding = found(folder / "playlist.m3u8", "segment-without-keyframe" if is_promised else "segment-start")
    assert check(folder / "playlist.m3u8").errors == (is_promised and 1)

    assert finding.severity is severity
    assert "segment_00001.ts" in finding.message


def test_frames_lost_where_segments_meet_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "seam"
    frames = f"select='not(between(n,{25 * SEGMENT_S - 2},{25 * SEGMENT_S - 1}))'"
    ffmpeg(*picture(size="160x90", duration=4), *rendition(folder, "-vf", frames, "-fps_mode", "vfr", *KEYS_OF_TWO))

    assert found(folder / "playlist.m3u8", "timestamps-uneven").severity is Severity.WARNING


def test_a_picture_rate_that_varies_is_borne(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    slides = "select='eq(n,0)+eq(n,10)+eq(n,50)+eq(n,90)+eq(n,100)+eq(n,140)'"
    ffmpeg(*picture(size="160x90", duration=6), *rendition(folder, "-vf", slides, "-fps_mode", "vfr", *KEYS_OF_TWO))

    edit("playlist.m3u8", "^#EXTINF:0.08", "#EXTINF:2.00")(folder)  # ffmpeg does not know how long the last is shown

    assert not check(folder / "playlist.m3u8").errors


@pytest.mark.parametrize(("shown", "told"), [("lt(t,1)+gt(t,2.9)", "2.0 s"), ("lt(t,2)", "2.1 s"), ("lt(t,3)", "")])
def test_pictures_that_stand_for_longer_than_players_wait_are_told(shown: str, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "screen"
    screen = ("-vf", f"select='{shown}'", "-fps_mode", "vfr")
    ffmpeg(*picture(size="160x90", duration=4), *tone(4), *rendition(folder, *screen, *PICTURES, *SOUND))

    findings = [
        finding.message for finding in check(folder / "playlist.m3u8").findings if finding.rule == "picture-stands"
    ]
    assert findings[0].endswith(told) if told else not findings


@pytest.mark.parametrize(("sound_s", "is_told"), [(1.5, True), (3.95, False)])
def test_segments_whose_sound_is_missing_are_told(sound_s: float, is_told: bool, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    ffmpeg(*picture(size="160x90", duration=4.12), *tone(sound_s), *rendition(folder, *PICTURES, *SOUND))

    assert check(folder / "playlist.m3u8").errors == is_told
    assert ("track-empty" in rules(check(folder / "playlist.m3u8"))) == is_told


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ((*PICTURES, "-s", "80x44", "-output_ts_offset", 5), "timestamps-differ"),
        (("-map", "0:v", "-c:v", "mpeg2video", "-s", "80x44", "-g", 50), "codec-in-ts"),
    ],
)
def test_a_rendition_made_otherwise_is_told(
    options: tuple[object, ...], rule: str, good_ts: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "broken")
    shutil.rmtree(folder / "low")
    ffmpeg(*picture(size="160x90", duration=6), *rendition(folder / "low", *options))

    assert rule in rules(check(folder))


HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-g", 50, "-x265-params")


@pytest.mark.parametrize(
    "encoders",
    [
        (*HEVC, "log-level=none:open-gop=0", "-c:a", "ac3"),
        ("-c:v", "libsvtav1", "-preset", 12, "-pix_fmt", "yuv420p10le", "-g", 50, "-c:a", "flac"),
    ],
    ids=["hevc", "av1"],
)
def test_names_of_codecs_are_those_that_ffmpeg_tells(encoders: tuple[object, ...], tmp_path: Path) -> None:
    folder = tmp_path / "other"
    master = ("-strict", -2, "-master_pl_name", "master.m3u8")
    ffmpeg(*picture(duration=4), *tone(4), *rendition(folder, *encoders, *master, kind="fmp4"))

    assert "CODECS=" in (folder / "master.m3u8").read_text()
    assert not {"codecs-wrong", "codecs-inexact"} & rules(check(folder))
    assert not check(folder).errors


def test_a_keyframe_with_pictures_that_need_the_last_segment_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    ffmpeg(*picture(duration=4), *rendition(folder, *HEVC, "log-level=none:open-gop=1:bframes=3", kind="fmp4"))

    assert "no IDR picture" in found(folder / "playlist.m3u8", "segment-without-keyframe").message


def test_sound_before_the_first_picture_makes_the_last_segment_no_longer(tmp_path: Path) -> None:
    ffmpeg("-itsoffset", 0.5, *picture(duration=2), *tone(2.5), *PICTURES, *SOUND, tmp_path / "0.ts")
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXTINF:2.000,", "0.ts", "#EXT-X-ENDLIST", ""]
    (tmp_path / "playlist.m3u8").write_text("\n".join(lines))

    assert not {"extinf-inexact", "extinf-wrong"} & rules(check(tmp_path / "playlist.m3u8"))
