"""What RFC 8216bis asks of a media playlist by itself."""

import re

from workplatform.hls_check.findings import Findings
from workplatform.hls_check.media import MediaPlaylist
from workplatform.hls_check.versions import judge_version

_ZONE = re.compile(r"([Zz]|[+-]\d\d:?\d\d)$")


def judge_media(playlist: MediaPlaylist, findings: Findings) -> None:
    """Judge a media playlist's tags and how they go together."""
    for judge in (_segments, _durations, _ending, _sequences, _order, _keys, _maps, _iframes, _dates):
        judge(playlist, findings)
    judge_version(playlist, findings)


def _segments(playlist: MediaPlaylist, findings: Findings) -> None:
    if not playlist.segments:
        findings.add("no-segments", playlist.place(), "the playlist lists no segments")


def _durations(playlist: MediaPlaylist, findings: Findings) -> None:
    target = playlist.tag("EXT-X-TARGETDURATION")
    if target is None:
        findings.add("targetduration-missing", playlist.place(), "there is no #EXT-X-TARGETDURATION")
        return
    if not int(target.value):
        findings.add("targetduration-zero", playlist.place(target.line), "a target duration of 0 stops players")
    for segment in playlist.segments:
        if int(segment.duration_s + 0.5) > int(target.value):
            told = f"{segment.uri} is {segment.duration_s:g} s long, the target duration is {target.value} s"
            findings.add("targetduration-exceeded", playlist.place(segment.line), told)
        if not segment.duration_s:
            findings.add("extinf-zero", playlist.place(segment.line), f"{segment.uri} has a length of 0 s")
    if len(playlist.segments) > 1 and int(target.value) > 2 * max(one.duration_s for one in playlist.segments) + 1:
        told = f"the target duration of {target.value} s is far above every segment's"
        findings.add("targetduration-loose", playlist.place(target.line), told)


def _ending(playlist: MediaPlaylist, findings: Findings) -> None:
    kind = playlist.tag("EXT-X-PLAYLIST-TYPE")
    if playlist.has("EXT-X-ENDLIST"):
        return
    if kind is not None and kind.value == "VOD":
        findings.add("vod-without-end", playlist.place(kind.line), "a VOD playlist has no #EXT-X-ENDLIST")
    else:
        findings.add(
            "no-end", playlist.place(), "there is no #EXT-X-ENDLIST: players wait for more, and start at its end"
        )


def _sequences(playlist: MediaPlaylist, findings: Findings) -> None:
    first = playlist.segments[0].line if playlist.segments else None
    first_break = next((one.line for one in playlist.segments if one.starts_anew), None)
    for name, before in (("EXT-X-MEDIA-SEQUENCE", first), ("EXT-X-DISCONTINUITY-SEQUENCE", first_break or first)):
        tag = playlist.tag(name)
        if tag is not None and before is not None and tag.line > before:
            findings.add(
                "sequence-late", playlist.place(tag.line), f"#{name} stands behind the segment of line {before}"
            )
    kind, sequence = playlist.tag("EXT-X-PLAYLIST-TYPE"), playlist.tag("EXT-X-MEDIA-SEQUENCE")
    if kind is not None and sequence is not None and int(sequence.value):
        told = f"a playlist of type {kind.value} begins with number {sequence.value}: its first segments are gone"
        findings.add("sequence-of-complete", playlist.place(sequence.line), told)


def _order(playlist: MediaPlaylist, findings: Findings) -> None:
    """Judge what repeats: a segment that is listed twice plays twice."""
    seen: dict[tuple[str, object], int] = {}
    for segment in playlist.segments:
        earlier = seen.setdefault((segment.uri, segment.range), segment.line)
        if earlier != segment.line:
            told = f"{segment.uri} is the segment of line {earlier} again"
            findings.add("segment-twice", playlist.place(segment.line), told)


def _keys(playlist: MediaPlaylist, findings: Findings) -> None:
    for tag in playlist.tags:
        if tag.name != "EXT-X-KEY":
            continue
        method = tag.attributes.text("METHOD")
        if method == "NONE" and len(tag.attributes.raw) > 1:
            findings.add("key-none", playlist.place(tag.line), "METHOD=NONE stands with other attributes")
        if method not in (None, "NONE") and tag.attributes.text("URI") is None:
            findings.add("key-uri", playlist.place(tag.line), f"METHOD={method} has no URI")
        iv = tag.attributes.raw.get("IV")
        if iv is not None and len(iv) != 34:
            findings.add("key-iv", playlist.place(tag.line), f"the IV has {4 * (len(iv) - 2)} bits instead of 128")
    _methods(playlist, findings)


def _methods(playlist: MediaPlaylist, findings: Findings) -> None:
    kinds = {segment.key.method if segment.key else "NONE" for segment in playlist.segments}
    if len(kinds) > 1 and "NONE" in kinds:
        told = "some segments are encrypted and some are not"
        findings.add("key-mixed", playlist.place(), told)


def _maps(playlist: MediaPlaylist, findings: Findings) -> None:
    seen: set[int] = set()
    for segment in playlist.segments:
        if segment.map is None or segment.map.line in seen:
            continue
        seen.add(segment.map.line)
        key = segment.map.key
        if key is not None and key.method == "AES-128" and key.iv is None:
            told = f"{segment.map.uri} is encrypted, and the #EXT-X-KEY of line {key.line} has no IV"
            findings.add("map-iv", playlist.place(segment.map.line), told)


def _iframes(playlist: MediaPlaylist, findings: Findings) -> None:
    if not playlist.is_iframes_only:
        return
    for segment in playlist.segments:
        if segment.range is None:
            told = f"{segment.uri} is listed as a whole file, not as the byte range of one picture"
            findings.add("iframe-range-missing", playlist.place(segment.line), told)


def _dates(playlist: MediaPlaylist, findings: Findings) -> None:
    for segment in playlist.segments:
        if segment.date is not None and not _ZONE.search(segment.date):
            told = f"{segment.date} has no time zone"
            findings.add("date-without-zone", playlist.place(segment.line), told)
