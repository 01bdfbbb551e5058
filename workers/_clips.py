"""Writing a silent clip picture by picture: H.264 in MP4, an animated WebP, or a GIF with a palette of its own."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import av
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from workers.preview import ClipFormat
from workplatform.errors import BadInputError

# GIFs count time in hundredths, and players slow those down that hurry; animated WebP costs much to decode.
RATES: Final[dict[ClipFormat, Fraction]] = {"mp4": Fraction(30), "webp": Fraction(15), "gif": Fraction(25, 2)}
_CODECS: Final = {
    "mp4": ("libx264", "yuv420p", {"preset": "medium", "crf": "24"}),
    "webp": ("libwebp_anim", "yuv420p", {"quality": "65", "compression_level": "4"}),
    "gif": ("gif", "pal8", {}),
}
_MUXERS: Final = {"mp4": {"movflags": "+faststart"}, "webp": {"loop": "0"}, "gif": {"loop": "0"}}
_BT709: Final = (ColorPrimaries.BT709, ColorTrc.BT709)
# Of several, those of x264 decide about a clip's last pictures by which of them was faster: never the same file again.
_THREADS = 1
# The palette is made of all pictures before the first is written, so they are held: 4 bytes a pixel.
_MOST_GIF_PIXELS = 64_000_000


class ClipWriter:
    """A clip that is being written; closing completes it."""

    def __init__(self, path: Path, format_: ClipFormat, rate: Fraction, size: tuple[int, int]) -> None:
        codec, pixels, options = _CODECS[format_]
        self._container = av.open(f"file:{path}", "w", format=format_, options=_MUXERS[format_])
        stream = cast("VideoStream", self._container.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.thread_count = _THREADS
        if format_ == "mp4":
            stream.codec_context.color_primaries, stream.codec_context.color_trc = _BT709
            stream.codec_context.colorspace, stream.codec_context.color_range = Colorspace.ITU709, ColorRange.MPEG
        self.frames = 0
        self._stream = stream
        self._rate = rate
        self._scaler = VideoReformatter()
        self._colours = _colours(format_)
        self._graph = _palette_graph(size, rate) if format_ == "gif" else None

    def add(self, picture: Image.Image) -> None:
        """Write one picture of the clip's size. Raises BadInputError if a GIF becomes too large to be made."""
        frame: VideoFrame = VideoFrame.from_image(picture)  # type: ignore[no-untyped-call] # it is, in PyAV
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        self.frames += 1
        if self._graph is not None:
            if self.frames * picture.width * picture.height > _MOST_GIF_PIXELS:
                raise BadInputError(
                    f"a GIF of {picture.width}x{picture.height} has room for {self.seconds:.0f} s: give less width or "
                    "duration, or let it be .webp or .mp4"
                )
            self._graph.push(frame)
            return
        scaled = self._scaler.reformat(frame, format=self._stream.pix_fmt, threads=1, **self._colours)
        scaled.pts, scaled.time_base = frame.pts, frame.time_base
        self._write(scaled)

    @property
    def seconds(self) -> float:
        """Length so far."""
        return float(self.frames / self._rate)

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for frame in self._paletted():
                    self._write(frame)
                self._write(None)
        finally:
            self._container.close()

    def _paletted(self) -> Iterator[VideoFrame]:
        if self._graph is None:
            return
        self._graph.push(None)
        while True:
            try:
                frame = self._graph.pull()
            except (av.EOFError, av.BlockingIOError):
                return
            if isinstance(frame, VideoFrame):
                yield frame

    def _write(self, frame: VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def _colours(format_: ClipFormat) -> dict[str, Any]:
    """Return what the planes mean: in small MP4s what players of HD assume, in WebP what it prescribes."""
    space = Colorspace.ITU709 if format_ == "mp4" else Colorspace.ITU601
    return {"dst_colorspace": space, "dst_color_range": ColorRange.MPEG}


def _palette_graph(size: tuple[int, int], rate: Fraction) -> Graph:
    """Return filters that choose 256 colours of all pictures, and dither with them."""
    graph = Graph()
    source = graph.add_buffer(width=size[0], height=size[1], format=VideoFormat("rgb24"), time_base=1 / rate)
    split = graph.add("split")
    palette = graph.add("palettegen", stats_mode="full")
    use = graph.add("paletteuse", dither="bayer", bayer_scale="4", diff_mode="rectangle")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
