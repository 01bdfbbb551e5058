"""The one ffmpeg command of a ladder: decode once, scale step by step, encode every rendition, write its segments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from workers._ffmpeg import only_this_file, quiet_start
from workers._hls_ladder import Rung
from workers._hls_playlist import CLOCK_START_S, MEDIA_PLAYLIST, SEGMENT_PATTERN, SEGMENT_S
from workers._hls_span import WHOLE, Span
from workers._probe import SourceAudio, SourceVideo

# 40 % less work than bicubic, the default, which is 2 % of the job's; the picture is slightly softer (the 480p of noise
# has an SSIM of 0.991 to Lanczos instead of 0.998).
_SCALER = "bilinear"
MAX_FRAME_RATE = 60
_SLIDES_FRAME_RATE = 5
# The rates that every HLS player takes; anything else becomes the first.
_SAMPLE_RATES = (48_000, 44_100)
# Audio that goes on for longer than this after the last picture gets that picture to the end: segments can only be cut
# at keyframes, so without pictures the last one would hold all the rest of the audio.
_MAX_TAIL_S = 0.5
# A keyframe at the first frame and at the first frame of each span of 6 s. All renditions see the same frames, so all
# have the same keyframes, also with variable frame rate and after gaps.
_ON_THE_GRID = f"expr:if(isnan(prev_forced_t),1,gte(t,{SEGMENT_S}*(1+floor(prev_forced_t/{SEGMENT_S}))))"
# No other keyframes: x264's own interval never runs out, and a scene cut, being nearer than half of it to the last
# keyframe, becomes an intra-coded frame that is none.
_KEYFRAME_INTERVAL = 1_000_000
# The muxer cuts at the first keyframe after this time. Since keyframes come only where segments shall begin, a value
# below their distance means: at each of them, wherever the muxer's own clock starts.
_CUT_AFTER_S = 1


def ladder_command(source: Path, video: SourceVideo, rungs: Sequence[Rung], span: Span = WHOLE) -> list[str]:
    """Return the command; it writes `NAME/playlist.m3u8` and segments below its working directory.

    The folders have to exist. Progress comes on standard output.
    """
    stream = ffmpeg.input(f"file:{source}", **only_this_file(video.container), **span.input_options)
    pictures = _pictures(span.pictures(stream[str(video.index)]), video, rungs)
    rates = sorted({rung.audio_bitrate for rung in rungs}) if video.audio else []
    sounds = stereo(stream, video.audio, len(rates), span) if video.audio else []
    options = _common_options()
    if video.frame_rate and video.frame_rate < _SLIDES_FRAME_RATE:
        # Reordered frames would delay the picture by seconds against the sound.
        options["bf"] = 0
    for number, rung in enumerate(rungs):
        options |= _rate_control(number, rung)
    for number, rate in enumerate(rates):
        options[f"b:a:{number}"] = rate
    slaves = "|".join(
        _slave(rung.name, number, rates.index(rung.audio_bitrate) if rates else None)
        for number, rung in enumerate(rungs)
    )
    return [str(word) for word in ffmpeg.compile(ffmpeg.output(*pictures, *sounds, slaves, **options), quiet_start())]


def _pictures(stream: Any, video: SourceVideo, rungs: Sequence[Rung]) -> list[Any]:
    """Return one filtered picture stream per rung: each is scaled from the next larger one, which is cheapest."""
    stream = _repaired(stream, video)
    levels = {"out_range": "tv"} if video.is_full_range else {}
    made: dict[int, Any] = {}
    falling = sorted(range(len(rungs)), key=lambda number: -rungs[number].width * rungs[number].height)
    for number in falling:
        rung = rungs[number]
        # Where the size stays, this passes frames on untouched, until one of another size comes along.
        stream = stream.filter("scale", rung.width, rung.height, flags=_SCALER, **levels)
        levels = {}
        stream = stream.filter("setsar", 1).filter("format", "yuv420p")
        if number == falling[-1]:
            made[number] = stream
        else:
            copies = stream.filter_multi_output("split", 2)
            made[number], stream = copies[0], copies[1]
    return [made[number] for number in range(len(rungs))]


def _repaired(stream: Any, video: SourceVideo) -> Any:
    """Weave no half pictures, show no more frames than screens do, and keep a picture for all of the audio."""
    if video.is_interlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    if video.frame_rate and video.frame_rate > MAX_FRAME_RATE + 1:
        stream = stream.filter("fps", MAX_FRAME_RATE, eof_action="pass")
    if video.sound_end_s and video.end_s and video.sound_end_s - video.end_s > _MAX_TAIL_S:
        tail_s = video.sound_end_s - video.end_s
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{tail_s:.3f}")
    return stream


def stereo(stream: Any, audio: SourceAudio, copies: int, span: Span = WHOLE) -> list[Any]:
    """Return the sound as stereo without holes, once for each bitrate; each is encoded once for all its renditions."""
    rate = audio.sample_rate if audio.sample_rate in _SAMPLE_RATES else _SAMPLE_RATES[0]
    sound = stream[str(audio.index)].filter("aresample", rate, **{"async": 1, "first_pts": span.first_sample(rate)})
    sound = sound.filter("aformat", channel_layouts="stereo")
    if copies == 1:
        return [sound]
    split = sound.filter_multi_output("asplit", copies)
    return [split[number] for number in range(copies)]


def _common_options() -> dict[str, Any]:
    return {
        "f": "tee",
        "c:v": "libx264",
        "preset:v": "veryfast",
        "profile:v": "high",
        "g": _KEYFRAME_INTERVAL,
        "keyint_min": _KEYFRAME_INTERVAL // 2,
        "force_key_frames:v": _ON_THE_GRID,
        # Every frame keeps its own time; none is doubled or dropped to fit a constant rate.
        "fps_mode:v": "vfr",
        "enc_time_base:v": "1:90000",
        "c:a": "aac",
        "sn": None,
        "dn": None,
        "map_metadata": -1,
        "map_chapters": -1,
        "max_muxing_queue_size": 4096,
    }


def _rate_control(number: int, rung: Rung) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if rung.bitrate is not None:
        options[f"b:v:{number}"] = rung.bitrate
    if rung.crf is not None:
        options[f"crf:v:{number}"] = rung.crf
    if rung.ceiling is not None:
        options[f"maxrate:v:{number}"] = rung.ceiling
        options[f"bufsize:v:{number}"] = 2 * rung.ceiling
    return options


def _slave(name: str, picture: int, sound: int | None) -> str:
    """Return what the tee muxer writes for one rendition: its picture, its sound, its playlist and segments."""
    streams = f"v:{picture}" if sound is None else f"v:{picture},a:{sound}"
    options = {
        "f": "hls",
        "select": rf"\'{streams}\'",
        "hls_time": _CUT_AFTER_S,
        "hls_list_size": 0,
        "hls_playlist_type": "event",
        "hls_flags": "independent_segments",
        "avoid_negative_ts": "disabled",
        "output_ts_offset": CLOCK_START_S,
        "hls_segment_filename": f"{name}/{SEGMENT_PATTERN}",
    }
    return f"[{':'.join(f'{key}={value}' for key, value in options.items())}]{name}/{MEDIA_PLAYLIST}"
