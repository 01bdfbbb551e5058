"""What a client asks of the `hls` job type, and what it is told at the end."""

import re
from typing import Annotated, Literal

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workers._hls_ladder import WORST_CRF, Codec, Quality, SegmentType
from workplatform.models import Payload, Result, WireModel

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$")]
KEY_MARK = "{key}"
# Folders of what is no quality.
_OTHER_FOLDERS = re.compile(r"(audio|subtitles)-\d.*|keys", re.IGNORECASE)


class Encryption(WireModel):
    """How segments are encrypted, and where players get the keys."""

    method: Literal["aes-128"] = Field(
        default="aes-128", description="AES-128 in CBC mode over whole segments, as every HLS player can read it"
    )
    key_url: str | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        pattern=r'^[^\s"\x00-\x1f\x7f]+$',
        description="Where players fetch a key; {key} in it stands for the key's number, 000 for the first. Without it "
        "they fetch keys/000.key beside the stream. The keys are always written there: keep them from the public "
        "where the URL asks who is there",
        examples=["https://keys.example/film-7/{key}"],
    )
    rotate_every: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Segments after which another key is used; without it one key serves the whole stream",
        examples=[100],
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: object) -> object:
        """Take the bare method for an object."""
        return {"method": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string", "enum": ["aes-128"]}, schema]}

    @model_validator(mode="after")
    def _name_each_key(self) -> "Encryption":
        if self.key_url and self.rotate_every and KEY_MARK not in self.key_url:
            raise ValueError("keyUrl is the same for all keys: put {key} in it, or leave out rotateEvery")
        if self.key_url and "{$" in self.key_url:
            raise ValueError("keyUrl: players take {$ for the beginning of a variable; write %7B$")
        return self


class HlsPayload(Payload):
    """A video and the qualities to make of it."""

    input_path: str = Field(
        min_length=1, description="The video: a path, a URL or s3://bucket/key", examples=["videos/film.mp4"]
    )
    output_dir: str = Field(
        min_length=1,
        description="Folder that gets master.m3u8 and a folder with playlist and segments for each quality",
        examples=["hls/film"],
    )
    qualities: tuple[Quality, ...] = Field(
        default=(
            Quality(name="1080p", height=1080),
            Quality(name="720p", height=720),
            Quality(name="480p", height=480),
        ),
        min_length=1,
        max_length=10,
        description="Renditions, by name or as objects. Those that would need upscaling are left out; the lowest is "
        "always made, if need be at the size of the video",
        examples=[["1080p", "720p", {"name": "small", "height": 360, "bitrate": "800k"}]],
    )
    codec: Codec = Field(
        default="h264",
        description="Codec of the pictures: h264 plays everywhere; hevc needs a third and av1 nearly half fewer bits, "
        "keep 10 bits and HDR, and take several times as long to make",
        examples=["h264"],
    )
    segment_type: SegmentType | None = Field(
        default=None,
        description="Format of the segments: MPEG transport stream (ts, the default) or fragmented MP4 (fmp4), which "
        "is what av1 is always in and what players of Apple want for hevc",
        examples=["ts"],
    )
    passthrough: bool | Literal["auto"] = Field(
        default="auto",
        description="Whether a rendition whose picture is that of the video may be copied instead of encoded: in the "
        "codec asked, of the same size, its keyframes where segments can begin, and below the bitrate asked. auto "
        "copies none with more than twice the usual bitrate; true copies that too, and tells in the log why none is",
        examples=["auto"],
    )
    tone_map: bool = Field(
        default=True,
        description="Bring HDR and wide colours into the range of ordinary screens for h264; without it they look pale "
        "and grey there. hevc and av1 keep them as they are",
        examples=[True],
    )
    audio_tracks: (
        Literal["default", "all"] | Annotated[tuple[LanguageCode, ...], Field(min_length=1, max_length=20)]
    ) = Field(
        default="default",
        description="Which sounds to offer: the best one (default), all of the video, or those in these languages "
        "in this order. Several become renditions of their own, between which players choose",
        examples=["all", ["en", "de"]],
    )
    audio_only: bool = Field(
        default=False,
        description="Offer the sound without a picture too, for players with little bandwidth or no screen",
        examples=[True],
    )
    subtitles: bool = Field(
        default=False,
        description="Offer the text subtitles of the video as WebVTT; those that are pictures are left out",
        examples=[True],
    )
    poster: bool = Field(
        default=False,
        description="Make poster.jpg, a telling picture of the video in the size of the largest rendition",
        examples=[True],
    )
    iframes: bool = Field(
        default=False,
        description="Make playlists of single keyframes, which players show while somebody winds forward or back",
        examples=[True],
    )
    encryption: Encryption | None = Field(
        default=None,
        description='Encrypt pictures and sounds: "aes-128", or an object that says where players get the keys. '
        "Subtitles and poster stay readable",
        examples=["aes-128", {"keyUrl": "https://keys.example/film-7/{key}", "rotateEvery": 100}],
    )
    early_master: bool = Field(
        default=False,
        description="Let players begin while the job runs: master.m3u8 lists the lowest rendition, which grows, until "
        "all are complete. Nothing of it stays if the job fails. A stream that is there already is kept until the end",
        examples=[True],
    )
    overwrite: bool = Field(
        default=False,
        description="Encode again even where a complete output of the same video and qualities exists",
        examples=[False],
    )

    @field_validator("qualities")
    @classmethod
    def _have_own_folders(cls, qualities: tuple[Quality, ...]) -> tuple[Quality, ...]:
        seen: set[str] = set()
        for quality in qualities:
            if quality.name.casefold() in seen:
                raise ValueError(f"quality {quality.name!r} is asked twice: give each its own name")
            seen.add(quality.name.casefold())
            if _OTHER_FOLDERS.fullmatch(quality.name):
                raise ValueError(
                    f"a folder called {quality.name!r} may be needed for other things: choose another name"
                )
        return qualities

    @property
    def packed_as(self) -> SegmentType:
        """Format of the segments, also where none is asked for."""
        return self.segment_type or ("fmp4" if self.codec == "av1" else "ts")

    @model_validator(mode="after")
    def _fit_the_codec(self) -> "HlsPayload":
        if self.codec == "av1" and self.segment_type == "ts":
            raise ValueError("segmentType: av1 does not go into ts; ask for fmp4, or leave it out")
        worst = WORST_CRF[self.codec]
        for quality in self.qualities:
            if quality.crf is not None and quality.crf > worst:
                raise ValueError(f"qualities: the crf of {quality.name} should be at most {worst} with {self.codec}")
        return self

    @model_validator(mode="after")
    def _can_play_early(self) -> "HlsPayload":
        if self.early_master and self.encryption:
            raise ValueError("earlyMaster would show segments before they are encrypted: leave out one of the two")
        if self.early_master and (self.audio_tracks != "default" or self.audio_only):
            raise ValueError(
                "earlyMaster shows a picture with its sound, and here sounds are made apart: leave out earlyMaster, "
                "or audioTracks and audioOnly"
            )
        return self

    @model_validator(mode="after")
    def _can_find_keyframes(self) -> "HlsPayload":
        if self.iframes and self.encryption:
            raise ValueError(
                "iframes are parts of segments, which cannot be read alone where encryption makes one piece of "
                "each: leave out iframes or encryption"
            )
        return self


class HlsRendition(WireModel):
    """One rendition as it was made."""

    name: str = Field(description="Name of the quality, and of its folder", examples=["720p"])
    width: int = Field(description="Width in pixels", examples=[1280])
    height: int = Field(description="Height in pixels", examples=[720])
    bandwidth: int = Field(description="Peak bits per second", examples=[2_900_000])
    average_bandwidth: int = Field(description="Average bits per second", examples=[2_500_000])
    frame_rate: float = Field(description="Frames per second", examples=[29.97])
    codecs: str = Field(description="Codecs after RFC 6381", examples=["avc1.64001f,mp4a.40.2"])
    is_copied: bool = Field(
        default=False, description="Whether the picture is copied from the video, not encoded", examples=[False]
    )
    playlist: str = Field(description="Path of its playlist", examples=["hls/film/720p/playlist.m3u8"])


class HlsTrack(WireModel):
    """A sound or subtitles in a folder of their own."""

    name: str = Field(description="Name that players show", examples=["English"])
    language: str | None = Field(description="Language by BCP 47, if the video names it", examples=["en"])
    is_default: bool = Field(description="Whether players take it unless told otherwise", examples=[True])
    playlist: str = Field(description="Path of its playlist", examples=["hls/film/audio-1-en/playlist.m3u8"])


class HlsAudioTrack(HlsTrack):
    """A sound as it was made."""

    channels: int = Field(description="Number of channels", examples=[2])
    bandwidth: int = Field(description="Peak bits per second", examples=[140_000])
    average_bandwidth: int = Field(description="Average bits per second", examples=[132_000])


class HlsSubtitles(HlsTrack):
    """Subtitles as they were made."""

    is_forced: bool = Field(
        description="Whether they are only for what everybody needs, such as signs in another language",
        examples=[False],
    )


class HlsResult(Result):
    """An HLS stream, ready to be played."""

    hls_path: str = Field(description="Path of the master playlist", examples=["hls/film/master.m3u8"])
    qualities: list[str] = Field(description="Names of the renditions made", examples=[["720p", "480p"]])
    renditions: list[HlsRendition] = Field(description="The renditions in detail, in the same order")
    audio_tracks: list[HlsAudioTrack] = Field(
        default=[], description="The sounds that have renditions of their own; none where it is in those of the picture"
    )
    audio_only: bool = Field(
        default=False, description="Whether the sound is offered without a picture", examples=[True]
    )
    subtitles: list[HlsSubtitles] = Field(default=[], description="The subtitles, in the order of the video")
    poster_path: str | None = Field(
        default=None, description="Path of the poster, if one was asked for", examples=["hls/film/poster.jpg"]
    )
    keys: list[str] = Field(
        default=[], description="Paths of the keys, if segments are encrypted", examples=[["hls/film/keys/000.key"]]
    )
    duration: float = Field(description="Length in seconds", examples=[12.0])
    segments: int = Field(description="Number of segment files of all renditions together", examples=[4])
    size: int = Field(description="Bytes of all segments together", examples=[4_700_000])
    skipped: bool = Field(
        description="Whether a complete output of the same video and qualities was there and has been kept; "
        "in a store it is made again",
        examples=[False],
    )
