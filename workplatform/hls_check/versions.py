"""Which protocol version a playlist needs for what it uses (RFC 8216bis, section 7)."""

from collections.abc import Iterator, Sequence

from workplatform.hls_check.entries import TagLine
from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.master import MasterPlaylist
from workplatform.hls_check.media import MediaPlaylist

_NEWEST = 13
_KEYS = ("EXT-X-KEY", "EXT-X-SESSION-KEY")


def judge_version(playlist: MediaPlaylist | MasterPlaylist, findings: Findings) -> None:
    """Judge whether EXT-X-VERSION is high enough, and known."""
    tag = next((tag for tag in playlist.tags if tag.name == "EXT-X-VERSION"), None)
    said = int(tag.value) if tag else 1
    if said > _NEWEST or not said:
        findings.add("version-unknown", playlist.place(tag.line if tag else None), f"there is no version {said}")
        return
    needed, why, line = max(_needs(playlist.tags), default=(1, "", 0))
    if needed > said:
        told = f"{why} (line {line}) needs version {needed}, the playlist says {said}"
        findings.add("version-too-low", Place(playlist.file, tag.line if tag else line), told)


def _needs(tags: Sequence[TagLine]) -> Iterator[tuple[int, str, int]]:
    has_iframes_only = any(tag.name == "EXT-X-I-FRAMES-ONLY" for tag in tags)
    for tag in tags:
        if (found := _need(tag, has_iframes_only=has_iframes_only)) is not None:
            yield *found, tag.line


def _need(tag: TagLine, *, has_iframes_only: bool) -> tuple[int, str] | None:
    attributes = tag.attributes.raw
    has_fraction = tag.name == "EXTINF" and "." in tag.value.partition(",")[0]
    is_service = (tag.attributes.text("INSTREAM-ID") or "").startswith("SERVICE")
    needs = (
        (any(name.startswith("REQ-") for name in attributes), 12, "an attribute that begins with REQ-"),
        (tag.name == "EXT-X-DEFINE" and "QUERYPARAM" in attributes, 11, "QUERYPARAM"),
        ("RECENTLY-REMOVED-DATERANGES" in attributes, 10, "RECENTLY-REMOVED-DATERANGES"),
        (tag.name == "EXT-X-SKIP", 9, "EXT-X-SKIP"),
        (tag.name == "EXT-X-DEFINE", 8, "EXT-X-DEFINE"),
        (is_service, 7, "a SERVICE of INSTREAM-ID"),
        (tag.name == "EXT-X-MAP" and not has_iframes_only, 6, "EXT-X-MAP"),
        (tag.name == "EXT-X-MAP", 5, "EXT-X-MAP with I-frames"),
        (tag.name in _KEYS and bool({"KEYFORMAT", "KEYFORMATVERSIONS"} & set(attributes)), 5, "KEYFORMAT"),
        (tag.name in _KEYS and attributes.get("METHOD") == "SAMPLE-AES", 5, "SAMPLE-AES"),
        (tag.name in ("EXT-X-BYTERANGE", "EXT-X-I-FRAMES-ONLY"), 4, tag.name),
        (has_fraction, 3, "a fraction in EXTINF"),
        (tag.name in _KEYS and "IV" in attributes, 2, "an IV"),
    )
    return next(((version, why) for is_so, version, why in needs if is_so), None)
