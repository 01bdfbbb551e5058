"""Reads one segment and tells what it holds; runs in a child process, since segments may be hostile."""

import io
import resource
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low
from typing import Any, TypeAlias

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet

from workplatform.channels import channel_count
from workplatform.hls_check import boxes, codec_names, encryption, transport_stream
from workplatform.hls_check.facts import Facts, Order, Source, Start, Track

_LARGEST_BYTES = 1 << 30
_MEMORY_BYTES = 6 << 30
_MOST_PACKETS = 500_000
# Fewer frames do not show a rate.
_FEWEST_STEPS = 4
_AVC_IDR, _HEVC_CRA = 5, 21
_HEVC_KEYS = range(16, 21)
_HEVC_LEADING = (8, 9)
_FORMATS = {"ts": "mpegts", "fmp4": "mp4", "aac": "aac", "mp3": "mp3", "ac3": "ac3", "eac3": "eac3"}
Problem = tuple[str, str]
Packets: TypeAlias = "Sequence[Packet[Any]]"  # generic for type checkers only


class _InOrder(io.BytesIO):
    """Bytes of which nothing is skipped: that sound lies seconds apart from a picture would have it looked for."""

    def seekable(self) -> bool:
        """Whether one can go back and forth: no."""
        return False


def probe(order: Order) -> Facts:
    """Read a segment; whatever goes wrong is told as a problem."""
    _limit_memory()
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    try:
        return _probe(order)
    except encryption.WrongKeyError as error:
        return Facts("unknown", 0, problems=(("decryption", str(error)),))
    except Exception as error:  # noqa: BLE001 - the process edge: bytes may be hostile in ways that nobody foresaw
        return Facts("unknown", 0, problems=(("segment-unreadable", _words(error)),))


def _limit_memory() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _probe(order: Order) -> Facts:
    size, data = _read(order.media)
    init = _read(order.init)[1] if order.init else b""
    container = _container(data)
    match container:
        case "vtt":
            return Facts(container, size, text=data.decode("utf-8", "replace"))
        case "unknown":
            return Facts(container, size, problems=(("segment-format", "it is of no format that HLS knows"),))
        case "fmp4" if not init:
            return Facts(container, size, problems=(("fmp4-init", "an fMP4 segment has no #EXT-X-MAP before it"),))
    problems = [*_problems(container, data, init, order)]
    if container == "ts" and order.media.range is not None:
        init = init or transport_stream.tables(order.media.path.read_bytes())
    try:
        declared, tracks = _streams(init + data, _FORMATS[container], problems)
    except (av.FFmpegError, ValueError) as error:
        problems.append(("segment-unreadable", _words(error)))
        return Facts(container, size, problems=tuple(problems))
    if not tracks:
        problems.append(("segment-unreadable", "no stream could be found in it"))
    return Facts(container, size, tracks, declared, problems=tuple(problems))


def _read(source: Source) -> tuple[int, bytes]:
    """Return how large a part is on the wire, and what is in it."""
    offset, length = (source.range.offset, source.range.length) if source.range else (0, -1)
    with source.path.open("rb") as file:
        file.seek(offset)
        data = file.read(length if 0 <= length <= _LARGEST_BYTES else _LARGEST_BYTES)
    if len(data) == _LARGEST_BYTES:
        raise ValueError("it is larger than 1 GB")
    return len(data), encryption.decrypted(data, source.key, source.iv) if source.key else data


def _container(data: bytes) -> str:
    if data.removeprefix(b"\xef\xbb\xbf").startswith(b"WEBVTT"):
        return "vtt"
    if transport_stream.looks_like_packets(data):
        return "ts"
    if boxes.looks_like_boxes(data):
        return "fmp4"
    if data[:3] == b"ID3":
        size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9] if len(data) > 9 else 0
        data = data[10 + size :]
    if data[:2] == b"\x0b\x77":
        return "eac3" if len(data) > 5 and data[5] >> 3 > 10 else "ac3"
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0:
        return "aac" if data[1] & 0x06 == 0 else "mp3"
    return "unknown"


def _problems(container: str, data: bytes, init: bytes, order: Order) -> Iterator[Problem]:
    if container == "ts":
        yield from transport_stream.problems_of(data, is_part=order.media.range is not None or order.is_iframe)
    elif container == "fmp4":
        yield from boxes.problems_of_init(init)
        yield from () if order.is_iframe else boxes.problems_of_segment(data)


def _streams(data: bytes, format_: str, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[Track, ...]]:
    """Return the kinds of all streams that are declared, and what those have that hold samples."""
    with av.open(_InOrder(data), "r", format=format_, options={"skip_frame": "all"}) as container:
        packets: dict[int, list[Packet[Any]]] = {stream.index: [] for stream in container.streams}
        for count, packet in enumerate(container.demux()):
            if packet.pts is not None and packet.dts is not None and packet.size:
                packets.setdefault(packet.stream_index, []).append(packet)
            if count > _MOST_PACKETS:
                raise ValueError(f"it has more than {_MOST_PACKETS} packets")
        media = {stream.index: stream.type for stream in container.streams if stream.type in ("video", "audio")}
        found = [_track(container, index, packets[index], problems) for index in media if packets[index]]
        return tuple(sorted(media.values())), tuple(found)


def _track(container: InputContainer, index: int, packets: Packets, problems: list[Problem]) -> Track:
    stream: Any = container.streams[index]
    context = stream.codec_context
    format_ = context.name if context else "unknown"
    decoded = [packet.dts or 0 for packet in packets]
    if any(after <= before for before, after in pairwise(decoded)):
        problems.append(("timestamps-rise", f"decoding times of its {stream.type} do not rise"))
    shown = sorted(packet.pts or 0 for packet in packets)
    steps = [after - before for before, after in pairwise(shown)]
    usual = median_low(steps) if steps else max(packets[0].duration or 0, 0)
    last_s = packets[-1].duration or 0 if stream.type == "audio" else 0
    head = bytes(context.extradata or b"") if context else b""
    start, light = None, None
    if stream.type == "video":
        start = _start(_family(format_), packets, head)
        light = _try_decoding(stream, packets, problems if start != "picture" else [])
    return Track(
        kind=stream.type,
        format=format_,
        codec=codec_names.name_of(_family(format_), head, bytes(packets[0])),
        sample_entry=context.codec_tag if context else "",
        tick=Fraction(stream.time_base or 1),
        first=shown[0],
        end=shown[-1] + (last_s or usual),
        first_decoded=decoded[0],
        last_decoded=decoded[-1],
        count=len(packets),
        keyframes=sum(packet.is_keyframe for packet in packets),
        frame_ticks=usual,
        longest_step=max(steps, default=0),
        is_steady=len(steps) >= _FEWEST_STEPS and max(steps) - min(steps) <= max(2, usual // 50),
        start=start,
        size=(context.width, context.height) if stream.type == "video" and context and context.width else None,
        channels=channel_count(context) if context and stream.type == "audio" else None,
        light=light,
    )


def _family(decoder: str) -> str:
    """Return the codec of a decoder: there are several for AV1 and for MP3."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "mp3float": "mp3", "libopus": "opus"}.get(decoder, decoder)


def _start(codec: str, packets: Packets, head: bytes) -> Start:
    """Tell whether pictures begin with one that all later ones can be decoded from."""
    if codec not in ("h264", "hevc"):
        return "keyframe" if packets[0].is_keyframe else "picture"
    kinds = [_kinds(codec, bytes(packet), head) for packet in packets[:1]]
    first = kinds[0][0] if kinds[0] else None
    if codec == "h264":
        if first == _AVC_IDR:
            return "keyframe"
    elif first in _HEVC_KEYS:
        return "keyframe"
    elif first == _HEVC_CRA:
        leading = any(set(_kinds(codec, bytes(packet), head)) & set(_HEVC_LEADING) for packet in packets[1:32])
        return "open keyframe" if leading else "keyframe"
    return "open keyframe" if packets[0].is_keyframe else "picture"


def _kinds(codec: str, sample: bytes, head: bytes) -> list[int]:
    """Return the kinds of the NAL units that hold pictures."""
    is_boxed = head[:1] == b"\x01"
    if codec == "h264":
        units = codec_names.length_units(sample, (head[4] & 3) + 1) if is_boxed else codec_names.units(sample)
        return [kind for unit in units if 1 <= (kind := unit[0] & 0x1F) <= 5]
    units = codec_names.length_units(sample, (head[21] & 3) + 1) if is_boxed else codec_names.units(sample)
    return [kind for unit in units if (kind := unit[0] >> 1 & 0x3F) < 32]


def _try_decoding(stream: Any, packets: Packets, problems: list[Problem]) -> int | None:
    """Decode the first picture: headers may be right above damage. Return its transfer characteristics, if any."""
    context = stream.codec_context
    context.skip_frame = "DEFAULT"
    context.options = {"err_detect": "explode"}
    try:
        frames = context.decode(packets[0]) or context.decode(None)
        if not frames or frames[0].is_corrupt:
            problems.append(("picture-damaged", "its first picture cannot be decoded by itself"))
        return int(frames[0].color_trc) if frames else None
    except av.FFmpegError as error:
        problems.append(("picture-damaged", f"its first picture cannot be decoded: {error.strerror}"))
        return None
