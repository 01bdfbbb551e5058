"""Judging what a master playlist says of its variants by what their segments hold."""

from collections.abc import Iterable, Mapping, Sequence

from workplatform.hls_check.facts import Track
from workplatform.hls_check.findings import Findings, Place
from workplatform.hls_check.master import MasterPlaylist, Variant
from workplatform.hls_check.streams import Stream

_TWINS = {"avc3": "avc1", "hev1": "hvc1", "opus": "Opus", "flac": "fLaC"}
_AAC = ("mp4a.40.2", "mp4a.40.5", "mp4a.40.29")
_FRAME_RATE_SHARE = 0.02
# Transfer characteristics of ISO/IEC 23091-2 that are not of the ordinary range of light.
_RANGES = {16: "PQ", 18: "HLG"}


def judge_codecs(master: MasterPlaylist, streams: Mapping[str, Stream], findings: Findings) -> None:
    """Judge CODECS, RESOLUTION and FRAME-RATE; `streams` are the playlists by the URIs that name them."""
    for variant in (*master.variants, *master.iframes):
        own = streams.get(variant.uri)
        if own is None or own.facts is None or not own.facts.tracks:
            continue
        tracks = [*own.facts.tracks, *_sounds_of_groups(master, variant, streams)]
        place = master.place(variant.line)
        if variant.codecs:
            _names(variant.codecs, tracks, place, findings)
        _picture(variant, own, place, findings)


def _sounds_of_groups(master: MasterPlaylist, variant: Variant, streams: Mapping[str, Stream]) -> list[Track]:
    if variant.is_iframes:
        return []
    found: list[Track] = []
    for rendition in master.group("AUDIO", variant.attributes.text("AUDIO")):
        stream = streams.get(rendition.uri or "")
        if stream is not None and stream.facts is not None:
            found.extend(stream.facts.tracks)
    return found


def _names(said: Sequence[str], tracks: Iterable[Track], place: Place, findings: Findings) -> None:
    left = [_family(name) for name in said]
    for track in tracks:
        if track.codec is None:
            left = [name for name in left if name not in _families(track)]
            continue
        family = _family(track.codec)
        if family not in [_family(name) for name in said]:
            told = f"the media has {track.codec}, CODECS says {','.join(said)}"
            findings.add("codecs-wrong", place, told)
        else:
            close = [name for name in said if _family(name) == family]
            _closeness(track.codec, close, place, findings)
        left = [name for name in left if name != family]
    unseen = [name for name in left if name not in ("wvtt", "stpp")]
    if unseen:
        findings.add("codecs-wrong", place, f"CODECS says {', '.join(unseen)}, and the media has none")


def _family(name: str) -> str:
    first = name.partition(".")[0]
    return _TWINS.get(first, first)


def _needed(name: str) -> str:
    """Return a name without the fields about colours that may follow profile, level and bits."""
    return ".".join(name.split(".")[:4]) if _family(name) in ("av01", "vp09") else name


def _families(track: Track) -> tuple[str, ...]:
    """Return what a stream may be called whose parameter sets could not be read."""
    return {"h264": ("avc1",), "hevc": ("hvc1",), "av1": ("av01",), "vp9": ("vp09",), "aac": ("mp4a",)}.get(
        track.format, ()
    )


def _closeness(real: str, said: Sequence[str], place: Place, findings: Findings) -> None:
    """Judge names of one family: a level below the real one keeps nobody away who cannot play it."""
    plain = [f"{_family(name)}.{name.partition('.')[2]}".rstrip(".") for name in map(_needed, said)]
    if real.casefold() in [name.casefold() for name in plain] or (real in _AAC and set(plain) & set(_AAC)):
        return
    told = f"the media has {real}, CODECS says {','.join(said)}"
    is_avc = real.startswith("avc1.") and all(len(name) == len(real) for name in plain)
    same_profile = [name for name in plain if name[:7].casefold() == real[:7].casefold()]
    if is_avc and any(name[9:].casefold() >= real[9:].casefold() for name in same_profile):
        findings.add("codecs-inexact", place, told)
    else:
        findings.add("codecs-wrong", place, told)


def _light(variant: Variant, video: Track) -> str | None:
    """Say what is wrong with VIDEO-RANGE; pictures that do not say what light they mean are shown as ordinary ones."""
    said = variant.attributes.text("VIDEO-RANGE") or "SDR"
    real = _RANGES.get(video.light, "SDR") if video.light is not None else None
    return f"the pictures are {real}, VIDEO-RANGE says {said}" if real and real != said else None


def _picture(variant: Variant, own: Stream, place: Place, findings: Findings) -> None:
    video = own.facts.video if own.facts else None
    said = variant.attributes.resolution()
    if video is None or video.size is None:
        if said is not None:
            findings.add("resolution-wrong", place, f"{variant.uri} has a RESOLUTION and no pictures")
        return
    if said is not None and said != video.size:
        told = f"the pictures are {video.size[0]}x{video.size[1]}, RESOLUTION says {said[0]}x{said[1]}"
        findings.add("resolution-wrong", place, told)
    if wrong := _light(variant, video):
        findings.add("video-range-wrong", place, wrong)
    rate, real = variant.attributes.number("FRAME-RATE"), None if variant.is_iframes else own.frame_rate()
    if rate is not None and real is not None and abs(rate - real) > max(_FRAME_RATE_SHARE * real, 0.01):
        told = f"the media has {real:.3f} frames a second, FRAME-RATE says {rate:.3f}"
        findings.add("frame-rate-wrong", place, told)
