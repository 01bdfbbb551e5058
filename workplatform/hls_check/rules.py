"""Every rule by name: how grave a breach is, which section asks for it, and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error stops or spoils playing somewhere; a warning is advice."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `reference` names RFC 8216bis and its section, or Apple's authoring specification."""

    severity: Severity
    reference: str
    mend: str


def _error(section: str, mend: str) -> Rule:
    return Rule(Severity.ERROR, f"RFC 8216bis {section}", mend)


def _warning(section: str, mend: str) -> Rule:
    return Rule(Severity.WARNING, f"RFC 8216bis {section}", mend)


def _advice(chapter: str, mend: str) -> Rule:
    return Rule(Severity.WARNING, f"Apple HLS authoring, {chapter}", mend)


_FOLDER = {
    "file-missing": _error("6.2.1", "make the file, or take its line out of the playlist"),
    "file-empty": _error("3", "make the file again"),
    "uri-leaves-folder": _error("4.1", "keep everything below the folder, or check a higher one with --root"),
    "uri-not-local": _warning("4.1", "give files of the folder by relative paths; for keys see --keys"),
    "playlist-size": _error("4.1", "this is no playlist, or it has to be split"),
    "check-stopped": _error("6.2.1", "mend the segments told above, then check again"),
}
_TEXT = {
    "extm3u-first": _error("4.4.1.1", "begin the file with a line #EXTM3U"),
    "text-encoding": _error("4.1", "write the playlist in UTF-8 without byte order mark and control characters"),
    "stray-whitespace": _error("4.1", "remove the white space"),
    "tag-twice": _error("4.1", "keep one of them"),
    "tag-value": _error("4.4", "give the tag a value of the form that its section tells"),
    "attribute-list": _error("4.2", "write NAME=VALUE pairs with commas between and nothing else"),
    "attribute-missing": _error("4.2", "add the attribute"),
    "attribute-value": _error("4.2", "write the value as the section of the tag tells"),
    "variable": _error("4.4.2.3", "define each variable once and before its use"),
    "version-too-low": _error("7", "raise #EXT-X-VERSION to that number"),
    "version-unknown": _error("4.4.1.2", "write the version that the playlist's tags need"),
    "playlist-mixed": _error("4.1", "keep tags of media playlists and of master playlists apart"),
    "playlist-nested": _error("4.4.6", "name media playlists in a master playlist"),
}
_MEDIA = {
    "no-segments": _error("4.4.4", "list at least one segment"),
    "targetduration-missing": _error("4.4.3.1", "add #EXT-X-TARGETDURATION, the longest #EXTINF rounded"),
    "targetduration-zero": _error("4.4.3.1", "write at least 1"),
    "targetduration-exceeded": _error("4.4.3.1", "write the longest #EXTINF, rounded, as target duration"),
    "targetduration-loose": _warning("4.4.3.1", "write the longest #EXTINF, rounded, as target duration"),
    "extinf-missing": _error("4.4.4.1", "put #EXTINF with the segment's length before it"),
    "extinf-zero": _warning("4.4.4.1", "write the real length, or leave the segment out"),
    "segment-tags": _error("4.4.4", "put each tag once before the segment that it is about"),
    "segment-twice": _error("6.2.1", "list each segment once"),
    "vod-without-end": _error("4.4.3.5", "end the playlist with #EXT-X-ENDLIST"),
    "no-end": _warning("4.4.3.4", "add #EXT-X-ENDLIST unless more segments will come"),
    "sequence-late": _error("4.4.3", "put the tag before the first segment"),
    "sequence-of-complete": _error("4.4.3.5", "list all segments from number 0, or take the playlist type out"),
    "byterange-offset": _error("4.4.4.2", "write the offset, as in n@o"),
    "byterange-outside": _error("4.4.4.2", "correct the range, or make the file again"),
    "date-without-zone": _warning("4.4.4.6", "add Z or the offset from UTC"),
    "key-none": _error("4.4.4.4", "leave the other attributes out"),
    "key-uri": _error("4.4.4.4", "add the URI of the key"),
    "key-iv": _error("4.4.4.4", "write 32 hexadecimal digits after 0x"),
    "key-length": _error("5", "a key file of AES-128 has 16 bytes and nothing else"),
    "key-mixed": _warning("6.2.3", "encrypt all segments, or none"),
    "key-unknown": _warning("4.4.4.4", "segments of this method are not looked into"),
    "map-iv": _error("4.4.4.5", "add an IV to the #EXT-X-KEY that applies to the #EXT-X-MAP"),
    "iframe-range-missing": _warning("4.4.3.6", "give the byte range of each picture"),
}
_MASTER = {
    "no-variants": _error("4.4.6.2", "add #EXT-X-STREAM-INF and the URI of a media playlist"),
    "variant-uri": _error("4.4.6.2", "put the URI on the line after its #EXT-X-STREAM-INF"),
    "variant-twice": _warning("4.4.6.2", "remove one of them"),
    "iframe-playlist": _error("4.4.6.3", "name playlists of I-frames by #EXT-X-I-FRAME-STREAM-INF, and no others"),
    "bandwidth-zero": _error("4.4.6.2", "write the measured peak"),
    "average-above-peak": _error("4.4.6.2", "write the measured peak and average"),
    "average-bandwidth-missing": _advice("master playlist", "add the measured average"),
    "codecs-missing": _warning("4.4.6.2", "add CODECS, told from the bitstream"),
    "codecs-wrong": _error("4.4.6.2", "write what the bitstream has"),
    "codecs-inexact": _warning("4.4.6.2", "write what the bitstream has"),
    "resolution-missing": _warning("4.4.6.2", "add RESOLUTION"),
    "resolution-wrong": _error("4.4.6.2", "write the size of the pictures"),
    "frame-rate-missing": _warning("4.4.6.2", "add FRAME-RATE"),
    "frame-rate-wrong": _error("4.4.6.2", "write the frames per second with three decimals"),
    "video-range-wrong": _error("4.4.6.2", "write PQ, HLG or SDR as the pictures say"),
    "bandwidth-too-low": _error("4.4.6.2", "write the measured peak, with the costliest rendition of each group"),
    "bandwidth-too-high": _advice("media bit rates", "write the measured peak: players choose by it"),
    "average-bandwidth-too-low": _error("4.4.6.2", "write the measured average, with each group's costliest rendition"),
    "average-bandwidth-too-high": _advice("media bit rates", "write the measured average"),
    "group-missing": _error("4.4.6.2", "add the #EXT-X-MEDIA of that group, or take the attribute out"),
    "group-unused": _warning("4.4.6.1.1", "name the group in a variant, or remove it"),
    "group-names": _error("4.4.6.1.1", "give each rendition of a group a NAME of its own"),
    "group-defaults": _error("4.4.6.1.1", "keep DEFAULT=YES with one of them"),
    "group-sets": _warning("4.4.6.1.1", "give groups of one type the same renditions"),
    "rendition-attributes": _error("4.4.6.1", "correct the attributes of this #EXT-X-MEDIA"),
    "rendition-media": _error("4.4.6.1", "name a playlist of that type"),
    "channels-missing": _warning("4.4.6.1", "add CHANNELS with the number of channels"),
    "channels-wrong": _error("4.4.6.1", "write the number of channels"),
    "language-missing": _warning("4.4.6.1", "add LANGUAGE as RFC 5646 names it"),
    "captions-mixed": _error("4.4.6.2", "write CLOSED-CAPTIONS=NONE for all variants, or for none"),
}
_SEGMENTS = {
    "segment-unreadable": _error("3", "make the segment again"),
    "segment-format": _error("3.1", "use MPEG-TS, fMP4, packed audio or WebVTT; encrypted segments need an #EXT-X-KEY"),
    "segment-crash": _error("3", "make the segment again; it ends or holds up the process that reads it"),
    "decryption": _error("4.4.4.4", "correct the key, the IV or the segment"),
    "ts-packets": _error("3.1.1", "make the segment again: its packets are torn"),
    "ts-tables": _error("3.1.1", "begin each segment with the program's tables (PAT, PMT)"),
    "ts-tables-late": _warning("3.1.1", "begin each segment with the program's tables (PAT, PMT)"),
    "ts-counters": _warning("3.1.1", "make the segment again: packets were lost, or set the discontinuity indicator"),
    "fmp4-init": _error("3.1.2", "name an initialization section (ftyp, moov with mvex) by #EXT-X-MAP"),
    "fmp4-boxes": _error("3.1.2", "make the segment again: moof with tfdt, then mdat"),
    "picture-damaged": _error("3", "make the segment again"),
    "segment-without-keyframe": _error("4.4.2.1", "cut at IDR pictures, or take #EXT-X-INDEPENDENT-SEGMENTS out"),
    "segment-start": _warning("3", "cut at IDR pictures, so that players can begin and change at each segment"),
    "tracks-change": _error("4.4.4.3", "put #EXT-X-DISCONTINUITY before the segment, or encode it like the others"),
    "track-empty": _error("3", "fill up with silence or a still picture: players wait for what is missing"),
    "timestamps-rise": _error("3", "make the segment again: its packets are out of order"),
    "timestamps-gap": _error("3", "put #EXT-X-DISCONTINUITY before the segment, or make what is lost"),
    "timestamps-overlap": _error("3", "put #EXT-X-DISCONTINUITY before the segment, or remove what is doubled"),
    "timestamps-uneven": _warning("3", "look for frames that were lost or doubled where the segments meet"),
    "picture-stands": _warning("3", "show the picture again while it stands: players stop, or never start"),
    "extinf-wrong": _error("4.4.4.1", "write the real length"),
    "extinf-inexact": _warning("4.4.4.1", "write the real length"),
    "duration-drift": _error("4.4.4.1", "write the real lengths with at least three decimals"),
    "iframe-no-keyframe": _error("4.4.3.6", "correct the byte range: it has to begin at a keyframe"),
    "iframe-more": _warning("4.4.3.6", "end the byte range with the keyframe"),
    "iframe-extinf": _error("4.4.3.6", "write the time until the next keyframe"),
    "webvtt": _error("3.1.4", "write WebVTT as its specification tells"),
    "timestamp-map-missing": _warning("3.1.4", "add X-TIMESTAMP-MAP to the header"),
    "cue-outside": _error("3.1.4", "correct X-TIMESTAMP-MAP, or list the cue in the segment of its time"),
}
_TOGETHER = {
    "durations-differ": _error("6.2.4", "make all renditions of the same content, to its end"),
    "segments-unaligned": _warning("6.2.4", "cut all renditions at the same moments"),
    "discontinuities-differ": _error("6.2.4", "put #EXT-X-DISCONTINUITY at the same moments in all renditions"),
    "timestamps-differ": _error("6.2.4", "give all renditions the same clock"),
    "targetdurations-differ": _error("6.2.4", "write the largest target duration in all playlists"),
}
_AUTHORING = {
    "target-of-6-seconds": _advice("media segmentation", "cut segments of 6 seconds"),
    "no-iframe-playlist": _advice("trick play", "add an I-frame playlist, for scrubbing"),
    "single-variant": _advice("delivery", "offer several bit rates"),
    "no-audio-group": _advice("audio", "give the sound renditions of its own, if players shall choose"),
    "no-independent-segments": _advice("master playlist", "begin segments with IDR pictures, and say so"),
    "frame-rate-above-60": _advice("video encoding", "encode at most 60 frames a second"),
    "peak-far-above-average": _advice("media bit rates", "bound the rate: a peak of twice the average is enough"),
    "codec-in-ts": _advice("video encoding", "put this codec into fMP4: many players take it from nothing else"),
    "hev1": _advice("video encoding", "use the sample entry hvc1: Apple's players take no other"),
}

RULES: Mapping[str, Rule] = {**_FOLDER, **_TEXT, **_MEDIA, **_MASTER, **_SEGMENTS, **_TOGETHER, **_AUTHORING}
