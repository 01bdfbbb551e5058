"""Good HLS folders, small and made by ffmpeg: transport streams with all renditions, fMP4, and encrypted ones."""

import re
import secrets
from pathlib import Path

import av
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.workers._samples_video import ffmpeg, picture, tone

SECONDS = 6
SEGMENT_S = 2
_FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
PICTURES = ("-map", "0:v", *_FAST, "-g", 50)
SOUND = ("-map", "1:a", "-c:a", "aac", "-b:a", "64k")
_VOD = ("-f", "hls", "-hls_time", SEGMENT_S, "-hls_playlist_type", "vod", "-hls_flags", "independent_segments")
_INPUTS = (*picture(size="160x90", duration=SECONDS), *tone(SECONDS - 0.1, layout="mono"))


def rendition(folder: Path, *options: object, kind: str = "ts", after: tuple[object, ...] = ()) -> tuple[object, ...]:
    """Return ffmpeg's arguments for one more rendition."""
    folder.mkdir(parents=True)
    segments: tuple[object, ...]
    if kind == "ts":
        segments = ("-hls_segment_filename", folder / "segment_%05d.ts")
    else:
        segments = ("-hls_segment_filename", folder / "segment_%05d.m4s", "-hls_segment_type", "fmp4")
    return (*options, *_VOD, *segments, *after, folder / "playlist.m3u8")


def transport_streams(root: Path) -> Path:
    """Make two sizes of picture, sound in a group, subtitles and an I-frame playlist."""
    ffmpeg(
        *_INPUTS,
        *rendition(root / "high", *PICTURES),
        *rendition(root / "low", *PICTURES, "-s", "80x44"),
        *rendition(root / "sound", *SOUND),
    )
    begins = _first_moment(root / "high" / "segment_00000.ts")
    _write_subtitles(root / "text", begins)
    _write_iframes(root / "high")
    sound = peak_and_average(root / "sound")
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines.append(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,'
        'CHANNELS="1",URI="sound/playlist.m3u8"'
    )
    lines.append('#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="English",LANGUAGE="en",URI="text/playlist.m3u8"')
    for name, size in (("high", "160x90"), ("low", "80x44")):
        peak, average = (own + other for own, other in zip(peak_and_average(root / name), sound, strict=True))
        lines.append(
            f'#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS="{_avc(root / name)},mp4a.40.2",'
            f'RESOLUTION={size},FRAME-RATE=25.000,AUDIO="sound",SUBTITLES="text"'
        )
        lines.append(f"{name}/playlist.m3u8")
    peak, average = peak_and_average(root / "high", "iframes.m3u8")
    lines.append(
        f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS="{_avc(root / "high")}",'
        'RESOLUTION=160x90,URI="high/iframes.m3u8"'
    )
    (root / "master.m3u8").write_text("\n".join([*lines, ""]))
    return root


def fragments(root: Path) -> Path:
    """Make one rendition of fMP4 segments, picture and sound together."""
    ffmpeg(*_INPUTS, *rendition(root / "only", *PICTURES, *SOUND, kind="fmp4"))
    peak, average = peak_and_average(root / "only")
    (root / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
        f'CODECS="{_avc_of_box(root / "only")},mp4a.40.2",RESOLUTION=160x90,FRAME-RATE=25.000\nonly/playlist.m3u8\n'
    )
    return root


def encrypted(root: Path) -> Path:
    """Make one rendition of AES-128 segments, with its key beside it."""
    keys = root / "keys"
    keys.mkdir(parents=True)
    (keys / "000.key").write_bytes(secrets.token_bytes(16))
    (root / "info").write_text(f"../keys/000.key\n{keys / '000.key'}\n")
    info = ("-hls_key_info_file", root / "info")
    ffmpeg(*_INPUTS, *rendition(root / "only", *PICTURES, *SOUND, *info))
    (root / "info").unlink()
    peak, average = peak_and_average(root / "only")
    (root / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},"
        f'CODECS="{_avc_of_bytes(_opened(root))},mp4a.40.2",RESOLUTION=160x90,FRAME-RATE=25.000\nonly/playlist.m3u8\n'
    )
    return root


def peak_and_average(folder: Path, playlist: str = "playlist.m3u8") -> tuple[int, int]:
    """Return bits per second of the largest segment and of all; segments are as long as the target duration."""
    text = (folder / playlist).read_text()
    lengths = [float(length) for length in re.findall(r"#EXTINF:([\d.]+)", text)]
    sizes = [int(size) for size in re.findall(r"#EXT-X-BYTERANGE:(\d+)@", text)]
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    sizes = sizes or [(folder / name).stat().st_size for name in names]
    rates = [8 * size / length for size, length in zip(sizes, lengths, strict=True) if length >= SEGMENT_S / 2]
    return round(max(rates)) + 1, round(8 * sum(sizes) / sum(lengths))


def _first_moment(segment: Path) -> int:
    with av.open(str(segment)) as container:
        return min(packet.pts for packet in container.demux(video=0) if packet.pts is not None)


def _write_subtitles(folder: Path, begins: int) -> None:
    folder.mkdir()
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_S}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for number in range(SECONDS // SEGMENT_S):
        start = number * SEGMENT_S
        cue = f"00:00:0{start}.500 --> 00:00:0{start + 1}.500\nLine {number}\n"
        head = f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{begins},LOCAL:00:00:00.000\n"
        (folder / f"segment_{number:05}.vtt").write_text(f"{head}\n{cue}")
        lines += [f"#EXTINF:{SEGMENT_S:.3f},", f"segment_{number:05}.vtt"]
    (folder / "playlist.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


def _write_iframes(folder: Path) -> None:
    """List the keyframe that each segment begins with: all that comes before its second picture."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", f"#EXT-X-TARGETDURATION:{SEGMENT_S}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    lines.append("#EXT-X-I-FRAMES-ONLY")
    for segment in sorted(folder.glob("*.ts")):
        with av.open(str(segment)) as container:
            positions = sorted(packet.pos for packet in container.demux(video=0) if packet.pos is not None)
        lines += [f"#EXTINF:{SEGMENT_S:.3f},", f"#EXT-X-BYTERANGE:{positions[1]}@0", segment.name]
    (folder / "iframes.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))


def _avc(folder: Path) -> str:
    return _avc_of_bytes((folder / "segment_00000.ts").read_bytes())


def _avc_of_bytes(data: bytes) -> str:
    at = data.index(b"\x00\x00\x01\x67")
    return f"avc1.{data[at + 4 : at + 7].hex()}"


def _opened(root: Path) -> bytes:
    """Decrypt the first segment; its IV is its number."""
    key = (root / "keys" / "000.key").read_bytes()
    opener = Cipher(AES(key), CBC(bytes(16))).decryptor()
    return opener.update((root / "only" / "segment_00000.ts").read_bytes()) + opener.finalize()


def _avc_of_box(folder: Path) -> str:
    data = (folder / "init.mp4").read_bytes()
    at = data.index(b"avcC")
    return f"avc1.{data[at + 5 : at + 8].hex()}"
