"""What a client asks of the `hls` job type, and what it is told at the end."""

from pydantic import Field, field_validator

from workers._hls_ladder import Quality
from workplatform.models import Payload, Result, WireModel


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
        return qualities


class HlsRendition(WireModel):
    """One rendition as it was made."""

    name: str = Field(description="Name of the quality, and of its folder", examples=["720p"])
    width: int = Field(description="Width in pixels", examples=[1280])
    height: int = Field(description="Height in pixels", examples=[720])
    bandwidth: int = Field(description="Peak bits per second", examples=[2_900_000])
    average_bandwidth: int = Field(description="Average bits per second", examples=[2_500_000])
    frame_rate: float = Field(description="Frames per second", examples=[29.97])
    codecs: str = Field(description="Codecs after RFC 6381", examples=["avc1.64001f,mp4a.40.2"])
    playlist: str = Field(description="Path of its playlist", examples=["hls/film/720p/playlist.m3u8"])


class HlsResult(Result):
    """An HLS stream, ready to be played."""

    hls_path: str = Field(description="Path of the master playlist", examples=["hls/film/master.m3u8"])
    qualities: list[str] = Field(description="Names of the renditions made", examples=[["720p", "480p"]])
    renditions: list[HlsRendition] = Field(description="The renditions in detail, in the same order")
    duration: float = Field(description="Length in seconds", examples=[12.0])
    segments: int = Field(description="Number of segment files of all renditions together", examples=[4])
    size: int = Field(description="Bytes of all segments together", examples=[4_700_000])
    skipped: bool = Field(
        description="Whether a complete output of the same video and qualities was there and has been kept",
        examples=[False],
    )
