"""The codecs of the picture: how each is asked of its encoder."""

import os
from collections.abc import Sequence
from typing import Any

from workers._encode_codecs import require_side
from workers._hls_ladder import Codec, Rung
from workers._hls_plan import Form

# No other keyframes than those asked for: the encoders' own interval never runs out. A scene cut, being nearer than
# half of it to the last keyframe, becomes an intra-coded frame of x264 that is none; the others look for none.
_KEYFRAME_INTERVAL = 1_000_000
# Threads of x264 for each processor, over all renditions: some of them always wait for frames.
_THREADS_FOR_A_CORE = 1.5
_ENCODERS: dict[Codec, dict[str, Any]] = {
    # With real times, x264 leaves no bits under a ceiling for a picture that stays for more than ten seconds.
    "h264": {"c": "libx264", "preset": "veryfast", "profile": "high", "x264-params": "force-cfr=1"},
    # Without open GOPs and with forced keyframes as IDR pictures, each segment decodes by itself.
    "hevc": {
        "c": "libx265",
        "preset": "veryfast",
        "forced-idr": 1,
        "x265-params": "log-level=error:scenecut=0:open-gop=0",
    },
    "av1": {"c": "libsvtav1", "preset": 10, "svtav1-params": "scd=0"},
}
_FRAME_RATES = {
    "h264": ("x264-params", ":fps={rate}/1000"),
    "hevc": ("x265-params", ":fps={rate}/1000"),
    "av1": ("svtav1-params", ":fps-num={rate}:fps-denom=1000"),
}


def encoder_options(rungs: Sequence[Rung], rung: Rung, form: Form, *, rate: float | None) -> dict[str, Any]:
    """Return the options, without stream specifiers, by which one of these rungs is encoded beside the others.

    `rate` is how many pictures a second it has to reckon with, None: as ffmpeg tells it. Raises BadInputError if the
    rung is too small for the codec.
    """
    require_side(form.codec, rung.width, rung.height, has_rate=rung.bitrate is not None)
    options = {**_ENCODERS[form.codec], "g": _KEYFRAME_INTERVAL, "keyint_min": _KEYFRAME_INTERVAL // 2}
    if rate is not None:
        name, more = _FRAME_RATES[form.codec]
        options[name] += more.format(rate=round(1000 * rate))
    if form.codec == "h264":
        options["threads"] = _threads(rungs, rung)
    return options | _rate_control(rung, form.codec)


def tag(form: Form) -> dict[str, Any]:
    """Return the option that names the codec in an initialization section as players of Apple want it."""
    return {"tag": "hvc1"} if form.codec == "hevc" else {}


def _threads(rungs: Sequence[Rung], rung: Rung) -> int:
    """Return a rung's share of the threads, by its pixels: one too many costs work and gains nothing."""
    share = rung.width * rung.height / sum(other.width * other.height for other in rungs)
    return max(1, round((os.cpu_count() or 1) * _THREADS_FOR_A_CORE * share))


def _rate_control(rung: Rung, codec: Codec) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if rung.bitrate is not None:
        options["b"] = rung.bitrate
    if rung.crf is not None:
        options["crf"] = rung.crf
    # SVT-AV1 takes a ceiling with constant quality only.
    if rung.ceiling is not None and not (codec == "av1" and rung.bitrate is not None):
        options |= {"maxrate": rung.ceiling, "bufsize": 2 * rung.ceiling}
    return options
