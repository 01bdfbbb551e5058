"""What RFC 8216bis asks of a master playlist by itself."""

from collections import Counter, defaultdict

from workplatform.hls_check.findings import Findings
from workplatform.hls_check.master import MasterPlaylist, Rendition, Variant
from workplatform.hls_check.tags import TAGS
from workplatform.hls_check.versions import judge_version

_GROUPS = {"AUDIO": "AUDIO", "VIDEO": "VIDEO", "SUBTITLES": "SUBTITLES", "CLOSED-CAPTIONS": "CLOSED-CAPTIONS"}
_AUDIO_CODECS = ("mp4a", "ac-3", "ec-3", "Opus", "opus", "fLaC", "flac", "alac", "ac-4", "dts", "mp3")
_TEXT_CODECS = ("wvtt", "stpp")


def judge_master(master: MasterPlaylist, findings: Findings) -> None:
    """Judge a master playlist's tags and how they go together."""
    _scopes(master, findings)
    _twins(master, findings)
    for variant in (*master.variants, *master.iframes):
        _variant(master, variant, findings)
    for rendition in master.renditions:
        _rendition(master, rendition, findings)
    _groups(master, findings)
    _captions(master, findings)
    judge_version(master, findings)


def is_video(codec: str) -> bool:
    """Whether a name of CODECS is that of a picture."""
    return not codec.startswith((*_AUDIO_CODECS, *_TEXT_CODECS))


def _scopes(master: MasterPlaylist, findings: Findings) -> None:
    for tag in master.tags:
        if TAGS[tag.name].scope in ("media", "segment"):
            told = f"#{tag.name} belongs to media playlists, and this is a master playlist"
            findings.add("playlist-mixed", master.place(tag.line), told)
    if not master.variants:
        findings.add("no-variants", master.place(), "the master playlist has no #EXT-X-STREAM-INF")


def _twins(master: MasterPlaylist, findings: Findings) -> None:
    seen: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}
    for variant in master.variants:
        mark = variant.uri, frozenset(variant.attributes.raw.items())
        if seen.setdefault(mark, variant.line) != variant.line:
            findings.add("variant-twice", master.place(variant.line), f"the variant of line {seen[mark]} is here again")


def _variant(master: MasterPlaylist, variant: Variant, findings: Findings) -> None:
    place, attributes = master.place(variant.line), variant.attributes
    bandwidth, average = attributes.integer("BANDWIDTH"), attributes.integer("AVERAGE-BANDWIDTH")
    if bandwidth == 0:
        findings.add("bandwidth-zero", place, "BANDWIDTH is 0")
    if bandwidth and average and average > bandwidth:
        told = f"AVERAGE-BANDWIDTH {average} is above the peak, BANDWIDTH {bandwidth}"
        findings.add("average-above-peak", place, told)
    if not variant.codecs:
        findings.add("codecs-missing", place, f"{variant.uri} has no CODECS")
    has_picture = any(map(is_video, variant.codecs))
    if has_picture and attributes.resolution() is None:
        findings.add("resolution-missing", place, f"{variant.uri} has pictures and no RESOLUTION")
    if has_picture and not variant.is_iframes and attributes.number("FRAME-RATE") is None:
        findings.add("frame-rate-missing", place, f"{variant.uri} has pictures and no FRAME-RATE")
    for name, type_ in _GROUPS.items():
        group = attributes.text(name)
        if group is not None and attributes.raw[name] != "NONE" and not master.group(type_, group):
            told = f"{name} names the group {group}, which no #EXT-X-MEDIA of this type has"
            findings.add("group-missing", place, told)


def _rendition(master: MasterPlaylist, rendition: Rendition, findings: Findings) -> None:
    place, attributes = master.place(rendition.line), rendition.attributes
    problems = {
        "subtitles need a URI": rendition.type == "SUBTITLES" and rendition.uri is None,
        "closed captions are within the video, and have no URI": rendition.type == "CLOSED-CAPTIONS"
        and rendition.uri is not None,
        "closed captions need an INSTREAM-ID": rendition.type == "CLOSED-CAPTIONS"
        and attributes.text("INSTREAM-ID") is None,
        "INSTREAM-ID is for closed captions only": rendition.type != "CLOSED-CAPTIONS"
        and attributes.text("INSTREAM-ID") is not None,
        "FORCED is for subtitles only": rendition.type != "SUBTITLES" and attributes.text("FORCED") is not None,
        "DEFAULT=YES needs AUTOSELECT=YES": rendition.is_default and attributes.text("AUTOSELECT") == "NO",
    }
    for told, is_so in problems.items():
        if is_so:
            findings.add("rendition-attributes", place, told)
    if rendition.type == "AUDIO" and attributes.text("CHANNELS") is None:
        findings.add("channels-missing", place, f"the audio {attributes.text('NAME')} has no CHANNELS")
    if rendition.type in ("AUDIO", "SUBTITLES") and attributes.text("LANGUAGE") is None:
        findings.add("language-missing", place, f"{attributes.text('NAME')} has no LANGUAGE")


def _groups(master: MasterPlaylist, findings: Findings) -> None:
    groups: dict[tuple[str, str], list[Rendition]] = defaultdict(list)
    for rendition in master.renditions:
        groups[rendition.type, rendition.group].append(rendition)
    for (type_, name), members in groups.items():
        names = Counter(one.attributes.text("NAME") for one in members)
        for twin, count in names.items():
            if count > 1:
                told = f"{count} renditions of the group {name} are named {twin}"
                findings.add("group-names", master.place(members[-1].line), told)
        if sum(one.is_default for one in members) > 1:
            told = f"the group {name} has more than one rendition with DEFAULT=YES"
            findings.add("group-defaults", master.place(members[-1].line), told)
        used = {variant.attributes.text(_GROUPS.get(type_, "")) for variant in (*master.variants, *master.iframes)}
        if name not in used:
            told = f"no variant uses the group {name} of type {type_}"
            findings.add("group-unused", master.place(members[0].line), told)
    _same_sets(master, groups, findings)


def _same_sets(master: MasterPlaylist, groups: dict[tuple[str, str], list[Rendition]], findings: Findings) -> None:
    """Judge that groups of one type have the same members, so that players can change between them."""
    first: dict[str, tuple[str, set[str | None]]] = {}
    for (type_, name), members in groups.items():
        names = {one.attributes.text("NAME") for one in members}
        known, wanted = first.setdefault(type_, (name, names))
        if names != wanted:
            told = f"the group {name} has other renditions than the group {known}"
            findings.add("group-sets", master.place(members[0].line), told)


def _captions(master: MasterPlaylist, findings: Findings) -> None:
    """Judge that either no variant has closed captions, or none says that it has none."""
    without = [one for one in master.variants if one.attributes.raw.get("CLOSED-CAPTIONS") == "NONE"]
    if without and len(without) < len(master.variants):
        told = "this variant has CLOSED-CAPTIONS=NONE, and others have not"
        findings.add("captions-mixed", master.place(without[0].line), told)
