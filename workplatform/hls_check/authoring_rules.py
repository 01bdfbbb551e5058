"""What Apple's authoring specification asks for beyond the RFC; all of it warnings."""

from collections.abc import Mapping

from workplatform.hls_check.facts import Facts
from workplatform.hls_check.findings import Findings
from workplatform.hls_check.master import MasterPlaylist
from workplatform.hls_check.master_rules import is_video
from workplatform.hls_check.media import MediaPlaylist
from workplatform.hls_check.streams import Stream

_TARGET_S = 6
_FASTEST = 60.5
_LEAST_BPS = 200_000


def advise_on_media(playlist: MediaPlaylist, findings: Findings) -> None:
    """Advise on a media playlist."""
    target = playlist.tag("EXT-X-TARGETDURATION")
    if target is not None and int(target.value) > _TARGET_S and not playlist.is_iframes_only:
        told = f"the target duration is {target.value} s"
        findings.add("target-of-6-seconds", playlist.place(target.line), told)


def advise_on_master(master: MasterPlaylist, streams: Mapping[str, Stream], findings: Findings) -> None:
    """Advise on the whole."""
    has_pictures = any(is_video(codec) for variant in master.variants for codec in variant.codecs)
    if has_pictures and not master.iframes:
        findings.add("no-iframe-playlist", master.place(), "there is no #EXT-X-I-FRAME-STREAM-INF")
    if len(master.variants) == 1 and has_pictures:
        findings.add("single-variant", master.place(master.variants[0].line), "there is one variant only")
    if has_pictures and not any(one.type == "AUDIO" for one in master.renditions):
        findings.add("no-audio-group", master.place(), "the sound is within the variants, if there is any")
    is_independent = [one.playlist.has("EXT-X-INDEPENDENT-SEGMENTS") for one in streams.values()]
    if not master.has("EXT-X-INDEPENDENT-SEGMENTS") and not all(is_independent):
        findings.add("no-independent-segments", master.place(), "there is no #EXT-X-INDEPENDENT-SEGMENTS")
    for variant in master.variants:
        place = master.place(variant.line)
        if variant.attributes.integer("AVERAGE-BANDWIDTH") is None:
            findings.add("average-bandwidth-missing", place, f"{variant.uri} has no AVERAGE-BANDWIDTH")
        if (variant.attributes.number("FRAME-RATE") or 0) > _FASTEST:
            findings.add("frame-rate-above-60", place, f"{variant.uri} has more than 60 frames a second")
        own = streams.get(variant.uri)
        if own is not None and own.facts is not None:
            _container(master, variant.line, variant.codecs, own.facts, findings)
            if own.is_measured and own.peak_bps > 2 * own.average_bps and own.average_bps > _LEAST_BPS:
                told = f"the peak of {variant.uri} is {own.peak_bps / own.average_bps:.1f} times its average"
                findings.add("peak-far-above-average", place, told)


def _container(master: MasterPlaylist, line: int, codecs: list[str], facts: Facts, findings: Findings) -> None:
    video = facts.video
    if video is None:
        return
    if facts.container == "ts" and video.format != "h264":
        findings.add("codec-in-ts", master.place(line), f"{video.format} is in transport streams")
    if video.sample_entry == "hev1" or any(name.startswith("hev1") for name in codecs):
        findings.add("hev1", master.place(line), "the sample entry is hev1")
