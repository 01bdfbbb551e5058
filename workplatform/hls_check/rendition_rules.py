"""Judging that each playlist is of the kind that the master playlist names it for (RFC 8216bis, section 4.4.6)."""

from collections.abc import Mapping

from workplatform.hls_check.facts import Facts
from workplatform.hls_check.findings import Findings
from workplatform.hls_check.master import MasterPlaylist, Rendition
from workplatform.hls_check.streams import Stream


def judge_renditions(master: MasterPlaylist, streams: Mapping[str, Stream], findings: Findings) -> None:
    """Judge what renditions hold, and which playlists are of I-frames."""
    for variant in (*master.variants, *master.iframes):
        own = streams.get(variant.uri)
        if own is not None and own.playlist.is_iframes_only != variant.is_iframes:
            kind = "has no #EXT-X-I-FRAMES-ONLY" if variant.is_iframes else "is a playlist of I-frames"
            findings.add("iframe-playlist", master.place(variant.line), f"{variant.uri} {kind}")
    for rendition in master.renditions:
        own = streams.get(rendition.uri or "")
        if own is None or own.facts is None:
            continue
        place = master.place(rendition.line)
        if not _is_of_kind(rendition.type, own.facts):
            findings.add("rendition-media", place, f"{rendition.uri} is no playlist of the type {rendition.type}")
        elif wrong := _channels(rendition, own.facts):
            findings.add("channels-wrong", place, wrong)


def _is_of_kind(type_: str, facts: Facts) -> bool:
    match type_:
        case "AUDIO":
            return facts.audio is not None
        case "VIDEO":
            return facts.video is not None
        case "SUBTITLES":
            return facts.video is None and facts.audio is None
    return True


def _channels(rendition: Rendition, facts: Facts) -> str | None:
    """Say what is wrong with CHANNELS; with further parameters the number may be that of objects in space."""
    said = rendition.attributes.text("CHANNELS") if rendition.type == "AUDIO" else None
    real = facts.audio.channels if facts.audio else None
    if said is None or "/" in said or not real or said == str(real):
        return None
    return f"the sound has {real} channels, CHANNELS says {said[:60]!r}"
