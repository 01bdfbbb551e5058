"""The tags of RFC 8216bis: where each may stand, what its value is, and which attributes it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workplatform.hls_check.attributes import Attribute

Scope = Literal["both", "media", "segment", "master"]
Value = Literal["none", "integer", "extinf", "range", "date", "type", "attributes"]

_YES_NO = ("YES", "NO")


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag; `once` tags may stand in a playlist a single time."""

    scope: Scope
    value: Value
    section: str
    once: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def _list(required: str = "", optional: str = "", **words: tuple[str, ...]) -> dict[str, Attribute]:
    """Return attributes from words such as `BANDWIDTH:integer`; the type is `string` if it is not said."""
    found = {}
    for is_required, text in ((True, required), (False, optional)):
        for item in text.split():
            name, _, type_ = item.partition(":")
            allowed = words.get(name.replace("-", "_"), ())
            found[name] = Attribute("word" if allowed else type_ or "string", is_required, allowed)
    return found


_KEY = _list(
    "METHOD:word", "URI IV:hex KEYFORMAT KEYFORMATVERSIONS", METHOD=("NONE", "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR")
)
_SESSION_KEY = {
    **_KEY,
    "METHOD": Attribute("word", True, ("AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR")),
    "URI": Attribute("string", True),
}
_VARIANT_WORDS = {"VIDEO_RANGE": ("SDR", "HLG", "PQ"), "HDCP_LEVEL": ("TYPE-0", "TYPE-1", "NONE")}
_VARIANT = (
    "AVERAGE-BANDWIDTH:integer SCORE:float CODECS SUPPLEMENTAL-CODECS RESOLUTION:resolution HDCP-LEVEL ALLOWED-CPC "
    "VIDEO-RANGE REQ-VIDEO-LAYOUT STABLE-VARIANT-ID VIDEO PATHWAY-ID"
)

TAGS: Mapping[str, Tag] = {
    "EXTM3U": Tag("both", "none", "4.4.1.1", once=True),
    "EXT-X-VERSION": Tag("both", "integer", "4.4.1.2", once=True),
    "EXT-X-INDEPENDENT-SEGMENTS": Tag("both", "none", "4.4.2.1", once=True),
    "EXT-X-START": Tag(
        "both",
        "attributes",
        "4.4.2.2",
        once=True,
        attributes=_list("TIME-OFFSET:signed", "PRECISE:word", PRECISE=_YES_NO),
    ),
    "EXT-X-DEFINE": Tag("both", "attributes", "4.4.2.3", attributes=_list("", "NAME VALUE IMPORT QUERYPARAM")),
    "EXT-X-TARGETDURATION": Tag("media", "integer", "4.4.3.1", once=True),
    "EXT-X-MEDIA-SEQUENCE": Tag("media", "integer", "4.4.3.2", once=True),
    "EXT-X-DISCONTINUITY-SEQUENCE": Tag("media", "integer", "4.4.3.3", once=True),
    "EXT-X-ENDLIST": Tag("media", "none", "4.4.3.4", once=True),
    "EXT-X-PLAYLIST-TYPE": Tag("media", "type", "4.4.3.5", once=True),
    "EXT-X-I-FRAMES-ONLY": Tag("media", "none", "4.4.3.6", once=True),
    "EXT-X-PART-INF": Tag("media", "attributes", "4.4.3.7", once=True, attributes=_list("PART-TARGET:float")),
    "EXT-X-SERVER-CONTROL": Tag(
        "media",
        "attributes",
        "4.4.3.8",
        once=True,
        attributes=_list(
            "",
            "CAN-SKIP-UNTIL:float CAN-SKIP-DATERANGES:word HOLD-BACK:float PART-HOLD-BACK:float CAN-BLOCK-RELOAD:word",
            CAN_SKIP_DATERANGES=_YES_NO,
            CAN_BLOCK_RELOAD=_YES_NO,
        ),
    ),
    "EXTINF": Tag("segment", "extinf", "4.4.4.1"),
    "EXT-X-BYTERANGE": Tag("segment", "range", "4.4.4.2"),
    "EXT-X-DISCONTINUITY": Tag("segment", "none", "4.4.4.3"),
    "EXT-X-KEY": Tag("segment", "attributes", "4.4.4.4", attributes=_KEY),
    "EXT-X-MAP": Tag("segment", "attributes", "4.4.4.5", attributes=_list("URI", "BYTERANGE")),
    "EXT-X-PROGRAM-DATE-TIME": Tag("segment", "date", "4.4.4.6"),
    "EXT-X-GAP": Tag("segment", "none", "4.4.4.7"),
    "EXT-X-BITRATE": Tag("segment", "integer", "4.4.4.8"),
    "EXT-X-PART": Tag(
        "segment",
        "attributes",
        "4.4.4.9",
        attributes=_list("URI DURATION:float", "INDEPENDENT:word BYTERANGE GAP:word", INDEPENDENT=_YES_NO, GAP=_YES_NO),
    ),
    "EXT-X-DATERANGE": Tag(
        "media",
        "attributes",
        "4.4.5.1",
        attributes=_list(
            "ID",
            "CLASS START-DATE CUE:string END-DATE DURATION:float PLANNED-DURATION:float "
            "SCTE35-CMD:hex SCTE35-OUT:hex SCTE35-IN:hex END-ON-NEXT:word",
            END_ON_NEXT=("YES",),
        ),
    ),
    "EXT-X-SKIP": Tag(
        "media",
        "attributes",
        "4.4.5.2",
        once=True,
        attributes=_list("SKIPPED-SEGMENTS:integer", "RECENTLY-REMOVED-DATERANGES"),
    ),
    "EXT-X-PRELOAD-HINT": Tag(
        "media",
        "attributes",
        "4.4.5.3",
        attributes=_list("TYPE:word URI", "BYTERANGE-START:integer BYTERANGE-LENGTH:integer", TYPE=("PART", "MAP")),
    ),
    "EXT-X-RENDITION-REPORT": Tag(
        "media", "attributes", "4.4.5.4", attributes=_list("URI", "LAST-MSN:integer LAST-PART:integer")
    ),
    "EXT-X-MEDIA": Tag(
        "master",
        "attributes",
        "4.4.6.1",
        attributes=_list(
            "TYPE:word GROUP-ID NAME",
            "URI LANGUAGE ASSOC-LANGUAGE STABLE-RENDITION-ID DEFAULT:word AUTOSELECT:word FORCED:word INSTREAM-ID "
            "BIT-DEPTH:integer SAMPLE-RATE:integer CHARACTERISTICS CHANNELS",
            TYPE=("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"),
            DEFAULT=_YES_NO,
            AUTOSELECT=_YES_NO,
            FORCED=_YES_NO,
        ),
    ),
    "EXT-X-STREAM-INF": Tag(
        "master",
        "attributes",
        "4.4.6.2",
        attributes=_list(
            "BANDWIDTH:integer",
            f"{_VARIANT} FRAME-RATE:float AUDIO SUBTITLES",
            **_VARIANT_WORDS,
        )
        | {"CLOSED-CAPTIONS": Attribute("string or word")},
    ),
    "EXT-X-I-FRAME-STREAM-INF": Tag(
        "master", "attributes", "4.4.6.3", attributes=_list("BANDWIDTH:integer URI", _VARIANT, **_VARIANT_WORDS)
    ),
    "EXT-X-SESSION-DATA": Tag(
        "master",
        "attributes",
        "4.4.6.4",
        attributes=_list("DATA-ID", "VALUE URI FORMAT:word LANGUAGE", FORMAT=("JSON", "RAW")),
    ),
    "EXT-X-SESSION-KEY": Tag("master", "attributes", "4.4.6.5", attributes=_SESSION_KEY),
    "EXT-X-CONTENT-STEERING": Tag(
        "master", "attributes", "4.4.6.6", once=True, attributes=_list("SERVER-URI", "PATHWAY-ID")
    ),
}
