"""Playlists broken in every way that their text can be: each is told by its rule, at its line, and with its mend."""

import os
import shutil
from pathlib import Path

import pytest

from tests.hls_check.breaking import HIGH, IFRAMES, LOW, MASTER, SOUND, TEXT, Break, all_of, bytes_of, edit, rules
from workplatform.hls_check import Severity, check
from workplatform.hls_check.rules import RULES

# What is told by comparing with the bitstream; the rest shows without reading segments, which is quicker.
MEASURED = (
    *("codecs-wrong", "codecs-inexact", "resolution-wrong", "frame-rate-wrong"),
    *("video-range-wrong", "rendition-media", "channels-wrong"),
)
VERSION = "^#EXT-X-VERSION:.*$"
INDEPENDENT = "^#EXT-X-INDEPENDENT-SEGMENTS$"
BROKEN: dict[str, tuple[Break, str]] = {
    "no first line": (edit(HIGH, r"^#EXTM3U\n", ""), "extm3u-first"),
    "a blank before the first line": (edit(MASTER, "^#EXTM3U", "\n#EXTM3U"), "extm3u-first"),
    "a byte order mark": (bytes_of(HIGH, lambda data: b"\xef\xbb\xbf" + data), "text-encoding"),
    "no UTF-8": (bytes_of(HIGH, lambda data: data + b"# \xff\n"), "text-encoding"),
    "a control character": (bytes_of(HIGH, lambda data: data + b"# \x1b[2J\n"), "text-encoding"),
    "white space at a line's end": (edit(HIGH, "^(#EXT-X-ENDLIST)$", r"\1 "), "stray-whitespace"),
    "a tag twice": (edit(HIGH, VERSION, "#EXT-X-VERSION:6\n#EXT-X-VERSION:6"), "tag-twice"),
    "a length that is no number": (edit(HIGH, "^#EXTINF:.*,", "#EXTINF:two,"), "tag-value"),
    "a length without a comma": (edit(HIGH, "^#EXTINF:2.*,", "#EXTINF:2"), "tag-value"),
    "a value where none may be": (edit(HIGH, "^#EXT-X-ENDLIST", "#EXT-X-ENDLIST:1"), "tag-value"),
    "an unknown playlist type": (edit(HIGH, "TYPE:VOD", "TYPE:LIVE"), "tag-value"),
    "an unclosed quote": (edit(MASTER, 'AUDIO="sound",SUB', 'AUDIO="sound,SUB'), "attribute-list"),
    "a space after a comma": (edit(MASTER, ",AVERAGE", ", AVERAGE"), "attribute-list"),
    "an attribute twice": (edit(MASTER, "FRAME-RATE=25.000", "FRAME-RATE=25.000,FRAME-RATE=25.000"), "attribute-list"),
    "no bandwidth": (edit(MASTER, r"(STREAM-INF:)BANDWIDTH=\d+,", r"\1"), "attribute-missing"),
    "no group id": (edit(MASTER, 'GROUP-ID="sound",', ""), "attribute-missing"),
    "a bandwidth with a fraction": (edit(MASTER, r"BANDWIDTH=(\d+)", r"BANDWIDTH=\1.5"), "attribute-value"),
    "a resolution of one number": (edit(MASTER, "RESOLUTION=160x90", "RESOLUTION=160"), "attribute-value"),
    "a yes in small letters": (edit(MASTER, "DEFAULT=YES", "DEFAULT=yes"), "attribute-value"),
    "an unquoted string": (edit(MASTER, 'AUDIO="sound"', "AUDIO=sound"), "attribute-value"),
    "an undefined variable": (edit(HIGH, "^segment_00001", "{$$name}_00001".replace("$$", "$")), "variable"),
    "an import of nothing": (edit(HIGH, VERSION, '#EXT-X-VERSION:8\n#EXT-X-DEFINE:IMPORT="cdn"'), "variable"),
    "fractions in version 2": (edit(TEXT, VERSION, "#EXT-X-VERSION:2"), "version-too-low"),
    "no version": (edit(TEXT, r"^#EXT-X-VERSION:.*\n", ""), "version-too-low"),
    "byte ranges in version 3": (edit(IFRAMES, VERSION, "#EXT-X-VERSION:3"), "version-too-low"),
    "a version to come": (edit(HIGH, VERSION, "#EXT-X-VERSION:99"), "version-unknown"),
    "segments in a master": (edit(MASTER, VERSION, "#EXT-X-VERSION:6\n#EXT-X-ENDLIST"), "playlist-mixed"),
    "a master as variant": (edit(MASTER, "^low/playlist", "master"), "playlist-nested"),
    "no target duration": (edit(HIGH, r"^#EXT-X-TARGETDURATION.*\n", ""), "targetduration-missing"),
    "a target duration of 0": (edit(HIGH, "TARGETDURATION:2", "TARGETDURATION:0"), "targetduration-zero"),
    "a target duration too short": (edit(HIGH, "TARGETDURATION:2", "TARGETDURATION:1"), "targetduration-exceeded"),
    "a target duration too long": (edit(HIGH, "TARGETDURATION:2", "TARGETDURATION:20"), "targetduration-loose"),
    "no length": (edit(HIGH, r"^#EXTINF.*\n", ""), "extinf-missing"),
    "a length of 0": (edit(HIGH, "^#EXTINF:2.*,", "#EXTINF:0,"), "extinf-zero"),
    "a length twice": (edit(HIGH, "^(#EXTINF.*)$", r"\1\n\1"), "segment-tags"),
    "a length at the end": (edit(HIGH, "^#EXT-X-ENDLIST", "#EXTINF:2.0,\n#EXT-X-ENDLIST"), "segment-tags"),
    "a segment twice": (edit(HIGH, "^segment_00001.ts", "segment_00000.ts"), "segment-twice"),
    "no end of a VOD": (edit(HIGH, "^#EXT-X-ENDLIST", ""), "vod-without-end"),
    "no end": (all_of(edit(HIGH, "^#EXT-X-PL.*$", ""), edit(HIGH, "^#EXT-X-ENDLIST", "")), "no-end"),
    "no segments": (edit(TEXT, r"^#EXTINF(.|\n)*ENDLIST", "#EXT-X-ENDLIST"), "no-segments"),
    "a sequence behind its segments": (
        all_of(
            edit(HIGH, r"^#EXT-X-MEDIA-SEQUENCE:0\n", ""),
            edit(HIGH, "^#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST"),
        ),
        "sequence-late",
    ),
    "a late discontinuity sequence": (
        edit(HIGH, "^segment_00000.ts", "segment_00000.ts\n#EXT-X-DISCONTINUITY-SEQUENCE:1"),
        "sequence-late",
    ),
    "a VOD without its beginning": (edit(HIGH, "MEDIA-SEQUENCE:0", "MEDIA-SEQUENCE:7"), "sequence-of-complete"),
    "a range without offset": (edit(IFRAMES, "^(#EXT-X-BYTERANGE:.*)@0", r"\1"), "byterange-offset"),
    "a range beyond the file": (
        edit(IFRAMES, "^#EXT-X-BYTERANGE:.*@", "#EXT-X-BYTERANGE:99999999@"),
        "byterange-outside",
    ),
    "a date without zone": (
        edit(HIGH, "^(#EXTINF)", r"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000\n\1"),
        "date-without-zone",
    ),
    "whole files of I-frames": (edit(IFRAMES, r"^#EXT-X-BYTERANGE.*\n", ""), "iframe-range-missing"),
    "no variants": (edit(MASTER, r"^#EXT-X-STREAM-INF.*\n.*\n", "", count=2), "no-variants"),
    "a variant without URI": (edit(MASTER, r"^low/.*\n", ""), "variant-uri"),
    "a URI without variant": (edit(MASTER, r"^(low/.*\n)", r"\1\1"), "variant-uri"),
    "a variant twice": (edit(MASTER, r"^(#EXT-X-STREAM-INF.*\n.*\n)", r"\1\1"), "variant-twice"),
    "a bandwidth of 0": (edit(MASTER, r"INF:BANDWIDTH=\d+", "INF:BANDWIDTH=0"), "bandwidth-zero"),
    "an average above the peak": (
        edit(MASTER, r"AVERAGE-BANDWIDTH=\d+", "AVERAGE-BANDWIDTH=9999999"),
        "average-above-peak",
    ),
    "a bandwidth too low": (edit(MASTER, r"INF:BANDWIDTH=\d+", "INF:BANDWIDTH=100000"), "bandwidth-too-low"),
    "a bandwidth too high": (edit(MASTER, r"INF:BANDWIDTH=\d+", "INF:BANDWIDTH=90000000"), "bandwidth-too-high"),
    "an average too low": (
        edit(MASTER, r"AVERAGE-BANDWIDTH=\d+", "AVERAGE-BANDWIDTH=1000"),
        "average-bandwidth-too-low",
    ),
    "an average too high": (
        edit(MASTER, r"INF:BANDWIDTH=\d+,AVERAGE-BANDWIDTH=\d+", "INF:BANDWIDTH=99999999,AVERAGE-BANDWIDTH=9999999"),
        "average-bandwidth-too-high",
    ),
    "no average": (edit(MASTER, r"AVERAGE-BANDWIDTH=\d+,", ""), "average-bandwidth-missing"),
    "no codecs": (edit(MASTER, 'CODECS="[^"]*",', ""), "codecs-missing"),
    "another codec": (edit(MASTER, 'CODECS="avc1[^,]*', 'CODECS="hvc1.1.6.L93.B0'), "codecs-wrong"),
    "another profile": (edit(MASTER, 'CODECS="avc1[^,]*', 'CODECS="avc1.640028'), "codecs-wrong"),
    "a level too low": (edit(MASTER, 'CODECS="(avc1.....)..', r'CODECS="\g<1>09'), "codecs-wrong"),
    "a level too high": (edit(MASTER, 'CODECS="(avc1.....)..', r'CODECS="\g<1>33'), "codecs-inexact"),
    "sound untold": (edit(MASTER, ",mp4a.40.2", ""), "codecs-wrong"),
    "sound of another kind": (edit(MASTER, "mp4a.40.2", "ac-3"), "codecs-wrong"),
    "no resolution": (edit(MASTER, "RESOLUTION=160x90,", ""), "resolution-missing"),
    "another resolution": (edit(MASTER, "RESOLUTION=160x90", "RESOLUTION=1920x1080"), "resolution-wrong"),
    "no frame rate": (edit(MASTER, "FRAME-RATE=25.000,", ""), "frame-rate-missing"),
    "another frame rate": (edit(MASTER, "FRAME-RATE=25.000", "FRAME-RATE=50.000"), "frame-rate-wrong"),
    "a group that is not": (edit(MASTER, 'AUDIO="sound"', 'AUDIO="music"'), "group-missing"),
    "a group for nobody": (edit(MASTER, ',SUBTITLES="text"', "", count=2), "group-unused"),
    "twins in a group": (edit(MASTER, r"^(#EXT-X-MEDIA:TYPE=AUDIO.*\n)", r"\1\1"), "group-names"),
    "two defaults": (
        edit(MASTER, r"^(#EXT-X-MEDIA:TYPE=AUDIO.*)English(.*\n)", r"\1English\2\1Englisch\2"),
        "group-defaults",
    ),
    "groups with other members": (
        edit(MASTER, r"^(#EXT-X-MEDIA:TYPE=AUDIO.*)sound(\",.*)English(.*\n)", r"\1sound\2English\3\1loud\2Other\3"),
        "group-sets",
    ),
    "forced sound": (edit(MASTER, "TYPE=AUDIO,", "TYPE=AUDIO,FORCED=YES,"), "rendition-attributes"),
    "subtitles without URI": (edit(MASTER, ',URI="text/playlist.m3u8"', ""), "rendition-attributes"),
    "a default that is not selected": (edit(MASTER, "AUTOSELECT=YES", "AUTOSELECT=NO"), "rendition-attributes"),
    "no channels": (edit(MASTER, ',CHANNELS="1"', ""), "channels-missing"),
    "no language": (edit(MASTER, ',LANGUAGE="en"', ""), "language-missing"),
    "more channels than there are": (edit(MASTER, 'CHANNELS="1"', 'CHANNELS="6"'), "channels-wrong"),
    "channels in words": (edit(MASTER, 'CHANNELS="1"', 'CHANNELS="mono"'), "channels-wrong"),
    "sound as subtitles": (edit(MASTER, 'URI="text/', 'URI="sound/'), "rendition-media"),
    "pictures as sound": (edit(MASTER, 'URI="sound/', 'URI="low/'), "rendition-media"),
    "ordinary pictures as HDR": (edit(MASTER, "FRAME-RATE=", "VIDEO-RANGE=PQ,FRAME-RATE="), "video-range-wrong"),
    "all pictures as I-frames": (edit(MASTER, 'URI="high/iframes', 'URI="high/playlist'), "iframe-playlist"),
    "I-frames as a variant": (edit(MASTER, "^high/playlist", "high/iframes"), "iframe-playlist"),
    "captions for some": (edit(MASTER, 'AUDIO="sound"', 'CLOSED-CAPTIONS=NONE,AUDIO="sound"'), "captions-mixed"),
    "a playlist too large": (lambda folder: os.truncate(folder / LOW, 51_000_000), "playlist-size"),
    "120 frames a second": (edit(MASTER, "FRAME-RATE=25.000", "FRAME-RATE=120.000"), "frame-rate-above-60"),
    "no promise of independence": (
        all_of(edit(MASTER, INDEPENDENT, ""), edit(HIGH, INDEPENDENT, "")),
        "no-independent-segments",
    ),
    "no I-frames": (edit(MASTER, r"^#EXT-X-I-FRAME.*\n", ""), "no-iframe-playlist"),
    "a long target": (edit(HIGH, "TARGETDURATION:2", "TARGETDURATION:10"), "target-of-6-seconds"),
    "other targets": (edit(SOUND, "TARGETDURATION:2", "TARGETDURATION:3"), "targetdurations-differ"),
    "a shorter rendition": (edit(LOW, r"^#EXTINF.*\nsegment_00002.ts\n", ""), "durations-differ"),
    "a discontinuity in one": (edit(LOW, "^(#EXTINF)", r"#EXT-X-DISCONTINUITY\n\1"), "discontinuities-differ"),
    "other cuts": (
        all_of(edit(LOW, "^#EXTINF:2.0*,", "#EXTINF:2.3,"), edit(LOW, "^#EXTINF:2.0*,", "#EXTINF:1.7,")),
        "segments-unaligned",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_playlist_is_told_by_its_rule(name: str, good_ts: Path, tmp_path: Path) -> None:
    change, rule = BROKEN[name]
    folder = shutil.copytree(good_ts, tmp_path / "broken")
    change(folder)

    report = check(folder, reads_media=rule in MEASURED)

    assert rule in rules(report)
    finding = next(finding for finding in report.findings if finding.rule == rule)
    assert (finding.severity, finding.reference, finding.mend) == (
        RULES[rule].severity,
        RULES[rule].reference,
        RULES[rule].mend,
    )
    assert (folder / finding.file).is_file()


def test_good_transport_streams_break_no_rule(good_ts: Path) -> None:
    report = check(good_ts)

    assert report.findings == ()
    assert (report.playlists, report.segments) == (6, 5 * 3)


def test_a_finding_names_the_file_and_the_line(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "broken")
    edit(HIGH, "^segment_00001.ts", "segment_99999.ts")(folder)
    (line,) = [n for n, text in enumerate((folder / HIGH).read_text().splitlines(), 1) if text == "segment_99999.ts"]

    (finding,) = [finding for finding in check(folder).findings if finding.rule == "file-missing"]

    assert (finding.file, finding.line, finding.severity) == (HIGH, line, Severity.ERROR)
    assert "segment_99999.ts" in finding.message
    assert finding.reference.startswith("RFC 8216bis ")


def test_unknown_tags_attributes_and_comments_are_borne(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "odd")
    edit(HIGH, VERSION, "#EXT-X-VERSION:6\n#EXT-X-CUE-OUT:30\n# a remark\n\n#EXTREME")(folder)
    edit(MASTER, 'AUDIO="sound"', 'AUDIO="sound",X-OURS="yes",REQUEST=1')(folder)

    assert check(folder).findings == ()


def test_what_other_packagers_write_is_borne(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "live")
    date = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0000\n"  # as ffmpeg writes it
    parts = '#EXT-X-PART:DURATION=0.3,URI="part3.0.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part3.1.ts"\n'
    edit(HIGH, "^#EXT-X-PLAYLIST-TYPE.*", "")(folder)
    edit(HIGH, "^(#EXTINF)", rf"{date}\1")(folder)
    edit(HIGH, "^#EXT-X-ENDLIST", f"{date}{parts}")(folder)

    assert rules(check(folder / HIGH, reads_media=False)) == {"no-end"}


def test_variables_are_put_in_and_handed_on(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "variables")
    edit(MASTER, VERSION, '#EXT-X-VERSION:8\n#EXT-X-DEFINE:NAME="part",VALUE="segment"')(folder)
    edit(HIGH, VERSION, '#EXT-X-VERSION:8\n#EXT-X-DEFINE:IMPORT="part"')(folder)
    edit(HIGH, "^segment_00001", r"{$part}_00001")(folder)

    assert check(folder).findings == ()


def test_what_is_broken_a_hundred_times_is_told_ten_times_and_counted(good_ts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good_ts, tmp_path / "broken")
    edit(HIGH, "^#EXT-X-ENDLIST", "#EXTINF:2.0,\nmissing.ts\n" * 100 + "#EXT-X-ENDLIST")(folder)

    findings = [finding for finding in check(folder / HIGH).findings if finding.rule == "file-missing"]

    assert len(findings) == 11
    assert sum(finding.message == "90 more of this kind in this file" for finding in findings) == 1
