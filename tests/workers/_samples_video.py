"""Small videos of every awkward kind, made with the ffmpeg of the wheel."""

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

_FAST = ("-c:v", "libx264", "-preset", "ultrafast")
_PLAIN = (*_FAST, "-pix_fmt", "yuv420p", "-c:a", "aac")


def ffmpeg(*arguments: object) -> None:
    """Run ffmpeg; say what it said if it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stderr


def picture(size: str = "320x180", rate: object = 25, duration: object = 2) -> tuple[str, ...]:
    """Return input arguments of a moving test picture."""
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={duration}")


def tone(duration: object = 2, *, layout: str = "stereo", rate: int = 48000) -> tuple[str, ...]:
    """Return input arguments of a short tone every two seconds in every channel: lasting ones cost AAC much work."""
    beeps = f"sine=duration={duration}:sample_rate={rate},volume='lt(mod(t,2),0.04)':eval=frame"
    return ("-f", "lavfi", "-i", f"{beeps},aformat=channel_layouts={layout}")


def plain(path: Path, *, size: str = "320x180", rate: object = 25, duration: object = 2) -> Path:
    """Make an ordinary H.264 and AAC video."""
    ffmpeg(*picture(size, rate, duration), *tone(duration), *_PLAIN, "-movflags", "+faststart", path)
    return path


def slow_ffmpeg(path: Path) -> Path:
    """Make a program that is ffmpeg, but reads its input at five times the speed of playing.

    Of more ffmpeg 9 makes hardly more than once the speed.
    """
    path.write_text(f'#!/bin/sh\nexec {imageio_ffmpeg.get_ffmpeg_exe()} -readrate 5 "$@"\n')
    path.chmod(0o755)
    return path


def silent(path: Path, *filters: str, size: str = "320x180", rate: object = 25, duration: object = 2) -> Path:
    """Make a video without sound, its picture passed through the filters."""
    ffmpeg(*picture(size, rate, duration), "-vf", ",".join(filters) or "null", *_FAST, "-fps_mode", "vfr", path)
    return path


def in_format(path: Path, *options: str, size: str = "320x180") -> Path:
    """Make a video with sound and the given encoder options."""
    ffmpeg(*picture(size), *tone(), *options, path)
    return path


def turned(path: Path, degrees: int) -> Path:
    """Make a video that players have to turn counter-clockwise; stored, its left half is white, its right one black."""
    stored = silent(path.with_name(f"stored_{path.name}"), "geq=lum='255*lt(X,W/2)':cb=128:cr=128", "format=yuv420p")
    ffmpeg("-display_rotation", degrees, "-i", stored, "-c", "copy", path)
    return path


def with_sound(path: Path, *, picture_s: float, sound_s: float, layout: str = "stereo", rate: int = 48000) -> Path:
    """Make a video whose sound has another length or form than its picture; segments can begin every six seconds."""
    encoder = (*_PLAIN, "-g", 150, "-movflags", "+faststart")
    ffmpeg(*picture(duration=picture_s), *tone(sound_s, layout=layout, rate=rate), *encoder, path)
    return path


def with_late_sound(path: Path, *, delay_s: float) -> Path:
    """Make a video of 60 pictures a second whose sound begins later than its picture."""
    ffmpeg(*picture(rate=60, duration=3), "-itsoffset", delay_s, *tone(3 - delay_s), *_PLAIN, path)
    return path


def without_any_sound(path: Path) -> Path:
    """Make a video with a sound stream in which there is nothing."""
    full = plain(path.with_suffix(".mp4"))
    ffmpeg("-i", full, "-map", "0", "-c", "copy", "-bsf:a", "noise=drop=1", path)
    return path


def slides(path: Path, *, seconds_each: int, duration: int) -> Path:
    """Make pictures that are shown for long, with sound."""
    ffmpeg(*picture("160x90", Fraction(1, seconds_each), duration), *tone(duration), *_PLAIN, path)
    return path


def thinning_out(path: Path) -> Path:
    """Make a video of nine seconds with 30 pictures a second, and two from the seventh on."""
    few = ("-vf", "select='lt(n,200)+not(mod(n,15))'", "-fps_mode", "vfr")
    ffmpeg(*picture("160x90", 30, 9), *tone(9), *few, *_PLAIN, path)
    return path


def shifted(path: Path, *, start_s: float) -> Path:
    """Make an MPEG transport stream whose clock does not begin at zero."""
    ffmpeg(*picture(duration=7), *tone(7), *_PLAIN, "-output_ts_offset", start_s, "-f", "mpegts", path)
    return path


def interlaced(path: Path) -> Path:
    """Make a video of half pictures."""
    weave = ("-vf", "interlace", "-flags", "+ilme+ildct", "-x264opts", "tff=1")
    ffmpeg(*picture(rate=50), *weave, *_FAST, "-pix_fmt", "yuv420p", path)
    return path


def song_with_cover(path: Path) -> Path:
    """Make a song that carries a cover picture, which is no video."""
    cover = path.with_name("cover.png")
    ffmpeg(*picture(), "-frames:v", 1, cover)
    ffmpeg(*tone(), "-i", cover, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v", "attached_pic", path)
    return path


def grouped(path: Path, *options: object, rate: object = 25, duration: object = 13) -> Path:
    """Make a small video with reordered pictures and sound, keyframes two seconds apart unless `options` differ."""
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", 50)
    ffmpeg(*picture("160x90", rate, duration), *tone(duration), *encoder, *options, path)
    return path


def rewrapped(source: Path, path: Path, *options: object) -> Path:
    """Put the packets of a video into another file."""
    ffmpeg("-i", source, "-c", "copy", *options, path)
    return path


def wide(path: Path, transfer: str) -> Path:
    """Make a 10-bit HEVC video in the colours of BT.2020; its white is diffuse white in HDR."""
    to = f"zscale=tin=709:min=709:pin=709:rin=limited:p=2020:t={transfer}:m=2020_ncl:r=limited:npl=203"
    light = (
        "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400:"
    )
    params = f"log-level=error:{light if transfer == 'smpte2084' else ''}keyint=50"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", params, "-tag:v", "hvc1")
    bars = ("-f", "lavfi", "-i", "smptehdbars=size=160x90:rate=25:duration=1")
    ffmpeg(*bars, "-vf", f"format=yuv420p,{to},format=yuv420p10le", *encoder, path)
    return path
