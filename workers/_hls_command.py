"""The one ffmpeg command of a ladder: decode once, scale step by step, encode every rendition, write its segments."""

import os
from math import inf
from pathlib import Path
from typing import Any

import ffmpeg

from workers._ffmpeg import is_the_wheels, quiet_start
from workers._hls_codecs import encoder_options, tag
from workers._hls_input import inputs
from workers._hls_ladder import Rung
from workers._hls_pauses import LONGEST_PAUSE_S, Pauses
from workers._hls_plan import Ladder
from workers._hls_playlist import CLOCK_START_S, INIT, MEDIA_PLAYLIST, SEGMENT_S, segment_pattern
from workers._hls_span import WHOLE, Span
from workers._probe import SourceAudio, SourceVideo
from workers._tone_mapping import to_sdr

# 40 % less work than bicubic, the default, which is 2 % of the job's; the picture is slightly softer (the 480p of noise
# has an SSIM of 0.991 to Lanczos instead of 0.998).
_SCALER = "bilinear"
MAX_FRAME_RATE = 60
# The rates that every HLS player takes; anything else becomes the first.
_SAMPLE_RATES = (48_000, 44_100)
# What is shown again comes on an even grid of times. It is not needed just before the end, nor just behind a picture of
# the source, but for where a segment begins.
_SOON_S, _SOON_IN_SEGMENT_S = 0.1, 0.001
# It comes so much behind its time, lest it comes before a picture of that very time: times are rounded.
_BEHIND_S = 0.000_002
# Audio that goes on for longer than this after the last picture gets that picture to the end: segments can only be cut
# at keyframes, so without pictures the last one would hold all the rest of the audio.
MAX_TAIL_S = 0.5
# A sound that ends this much before the picture would leave segments without sound, at which players stop.
_SILENCE_S = 0.1
# Seconds of pictures held until the ends of both are known; the usual ten seconds of raw ones can be gigabytes.
_HELD_S = 1
# A keyframe at the first frame and at the first frame of each span of 6 s. All renditions see the same frames, so all
# have the same keyframes, also with variable frame rate and after gaps.
_ON_THE_GRID = f"expr:if(isnan(prev_forced_t),1,gte(t,{SEGMENT_S}*(1+floor(prev_forced_t/{SEGMENT_S}))))"
# The muxer cuts at the first keyframe after this time. Since keyframes come only where segments shall begin, a value
# below their distance means: at each of them, wherever the muxer's own clock starts.
_CUT_AFTER_S = 1
# How much sooner than a moment a frame may be that is meant by it: times are rounded.
_NEARLY_THEN_S = 0.0005
# The muxer's clock starts with the first packet of any kind. Where it cuts a copy by that clock, this must not be a
# packet of the sound, which is older than the picture by what its encoder begins with.
_WITHOUT_PRIMING = r"noise=drop=lt(pts*tb\\\\,0)"
# A fragment of MP4 begins where the last picture of the one before ends, which is a guess where the rate varies; and a
# picture that stands would say that it lasts as long, though it is shown again.
_REAL_DURATIONS = r"setts=pts=PTS:dts=DTS:duration=if(eq(NEXT_DTS\,NOPTS)\,min(DURATION\,1/TB)\,NEXT_DTS-DTS)"
# Threads for what is light beside encoding, as scaling is, and decoding if what is encoded has as many pixels: more of
# them would take turns with the encoders, at a percent of the work for each of the two.
_LIGHT_THREADS = max(1, (os.cpu_count() or 1) // 2)
# How long the muxer waits for the picture or the sound that is behind, by their times; what comes later than that would
# be in a later segment than it belongs to. Encoders keep back some pictures, up to a hundred.
_WAITING_S = 60


def ladder_command(source: Path, video: SourceVideo, ladder: Ladder, span: Span = WHOLE) -> list[str]:
    """Return the command; it writes `NAME/playlist.m3u8` and segments below its working directory.

    The folders have to exist. Progress comes on standard output.
    """
    rungs = ladder.rungs
    encoded = sum(rung.width * rung.height for rung in ladder.encoded)
    threads = _LIGHT_THREADS if encoded >= video.width * video.height else 0
    seen, heard = inputs(str(source), video, span, threads=threads)
    pictures = _pictures(seen[str(video.index)], video, ladder, span)
    rates = sorted({rung.audio_bitrate for rung in rungs}) if video.audio else []
    sounds = _sounds(heard, video, ladder, len(rates), span)
    options = _common_options(ladder)
    if _is_bounded(video, ladder):
        options |= {"shortest": None, "shortest_buf_duration": _HELD_S}
    for number, rung in enumerate(rungs):
        own = {"c": "copy"} if ladder.is_copied(rung) else _encoding(ladder, rung, span)
        options |= {f"{name}:v:{number}": value for name, value in (own | tag(ladder.form)).items()}
    for number, rate in enumerate(rates):
        options[f"b:a:{number}"] = rate
    slaves = "|".join(
        _slave(ladder, number, rates.index(rung.audio_bitrate) if rates else None) for number, rung in enumerate(rungs)
    )
    return [str(word) for word in ffmpeg.compile(ffmpeg.output(*pictures, *sounds, slaves, **options), quiet_start())]


def _pictures(stream: Any, video: SourceVideo, ladder: Ladder, span: Span) -> list[Any]:
    """Return one picture stream per rung: each is scaled from the next larger one, which is cheapest, or is a copy."""
    made: dict[str, Any] = {rung.name: stream for rung in ladder.rungs if ladder.is_copied(rung)}
    falling = sorted(ladder.encoded, key=lambda rung: -rung.width * rung.height)
    stream = _repaired(stream, video, ladder, span)
    for rung in falling:
        is_first = rung is falling[0]
        levels = {"out_range": "tv"} if is_first and video.is_full_range else {}
        # Where the size stays, this passes frames on untouched, until one of another size comes along.
        stream = stream.filter("scale", rung.width, rung.height, flags=_SCALER, **levels)
        if is_first and ladder.form.makes_sdr:
            stream = to_sdr(stream, video.colour)
        stream = stream.filter("setsar", 1).filter("format", ladder.form.pixels)
        if rung is falling[-1]:
            made[rung.name] = stream
        else:
            copies = stream.filter_multi_output("split", 2)
            made[rung.name], stream = copies[0], copies[1]
    return [made[rung.name] for rung in ladder.rungs]


def _repaired(stream: Any, video: SourceVideo, ladder: Ladder, span: Span) -> Any:
    """Weave no half pictures, show no more frames than screens do, and keep a picture for all of the audio."""
    # What pictures are left out, or shown again, depends on those before.
    if video.frame_rate and video.frame_rate > MAX_FRAME_RATE + 1:
        stream = span.pictures(_woven(stream, video).filter("fps", MAX_FRAME_RATE, eof_action="pass"))
    elif ladder.pauses:
        return span.pictures(_without_pauses(_woven(stream, video), video, ladder.pauses, span))
    else:
        stream = _woven(span.pictures(stream), video)
    is_to_the_end = span.end_s is None
    if is_to_the_end and video.sound_end_s and video.end_s and video.sound_end_s - video.end_s > MAX_TAIL_S:
        tail_s = video.sound_end_s - video.end_s
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{tail_s:.3f}")
    return stream


def _without_pauses(stream: Any, video: SourceVideo, pauses: Pauses, span: Span) -> Any:
    """Show a picture again while it stands, to the end of the span and of the sound; those of the source all stay.

    A copy of the stream at a low and even rate is laid between its pictures, marked as half pictures; of what is marked
    only that stays before which nothing came for a while.
    """
    copies = stream.filter("setfield", "prog").filter("settb", "AVTB").filter_multi_output("split", 2)
    # Of a clock that begins anew nobody knows what it will say at the end.
    is_open = span.end_s is None and video.begins_anew
    tail_s = max(0.0, (video.sound_end_s or 0.0) - (video.end_s or 0.0)) if is_open else inf
    # The grid begins with the first picture, as that of the segments does. At each moment of it the last picture from
    # before it is shown again.
    still = copies[1].filter("setpts", f"PTS-{pauses.first_s - _BEHIND_S:.6f}/TB")
    still = still.filter("fps", 1 / LONGEST_PAUSE_S, round="down", eof_action="pass" if tail_s else "round")
    still = still.filter("tpad", stop_mode="clone", **({"stop": -1} if tail_s == inf else {"stop_duration": tail_s}))
    shift_s = pauses.first_s + LONGEST_PAUSE_S + _BEHIND_S
    still = still.filter("settb", "AVTB").filter("setpts", f"PTS+{shift_s:.6f}/TB")
    if not is_open:
        end_s = span.end_s or max(pauses.last_s, video.end_s or 0.0, video.sound_end_s or 0.0) - _SOON_S
        still = still.filter("trim", end=f"{end_s:.6f}")
    still = still.filter("setfield", "tff")
    begins_segment = f"lt(mod(t-{pauses.first_s:.6f}+{_SOON_S},{SEGMENT_S}),{2 * _SOON_S})"
    soon_s = f"if({begins_segment},{_SOON_IN_SEGMENT_S},{_SOON_S})"
    is_needed = f"eq(interlace_type,PROGRESSIVE)+gte(t-prev_selected_t,{soon_s})"
    return ffmpeg.filter([copies[0], still], "interleave").filter("select", is_needed).filter("setfield", "prog")


def _woven(stream: Any, video: SourceVideo) -> Any:
    return stream.filter("bwdif", mode="send_frame", deint="interlaced") if video.is_interlaced else stream


def _falls_silent(video: SourceVideo) -> bool:
    """Whether the sound of the segments ends before their picture."""
    if not video.audio or video.sound_end_s is None or video.end_s is None:
        return False
    return video.end_s - video.sound_end_s > _SILENCE_S


def _is_bounded(video: SourceVideo, ladder: Ladder) -> bool:
    """Whether ffmpeg ends the silence behind a sound where the real picture ends.

    Others than the wheel's may know no bound; there, silence goes on to where the header says that the picture ends.
    Beside a copy packets would be bound, in the order of decoding, and the last pictures out of it be dropped.
    """
    return _falls_silent(video) and is_the_wheels() and ladder.passage is None


def _sounds(stream: Any, video: SourceVideo, ladder: Ladder, copies: int, span: Span) -> list[Any]:
    """Return the sound for the segments of the picture, once for each bitrate; silence goes on where it ends early.

    The silence ends with the real picture, or where the header says that the picture does, whatever comes first; beside
    a copy, of which all packets were read, where the picture does.
    """
    if not video.audio:
        return []
    sounds = stereo(stream, video.audio, copies, span)
    if not _falls_silent(video):
        return sounds
    rate = _output_rate(video.audio)
    first = span.first_sample(rate)
    # A picture that would be shown for longer than the silence lasts is left out, and how long the last one is shown
    # is rounded, or guessed.
    spare_s = LONGEST_PAUSE_S if ladder.pauses or _is_bounded(video, ladder) else 0.0
    end_s = ladder.passage.end_s if ladder.passage else (video.end_s or 0.0) + spare_s
    lasting_s = max(0.0, end_s - first / rate)
    # A span that begins after the sound has none whose time could be gone on from: it is counted.
    return [sound.filter("apad", whole_dur=f"{lasting_s:.6f}").filter("asetpts", f"N+{first}") for sound in sounds]


def _output_rate(audio: SourceAudio) -> int:
    """Return the samples per second to make of a sound: its own, if all players take that."""
    return audio.sample_rate if audio.sample_rate in _SAMPLE_RATES else _SAMPLE_RATES[0]


def stereo(stream: Any, audio: SourceAudio, copies: int, span: Span = WHOLE) -> list[Any]:
    """Return the sound as stereo without holes, once for each bitrate; each is encoded once for all its renditions."""
    rate = _output_rate(audio)
    sound = span.sounds(stream[str(audio.index)], rate)
    sound = sound.filter("aresample", rate, **{"async": 1, "first_pts": span.first_sample(rate)})
    sound = sound.filter("aformat", channel_layouts="stereo")
    if copies == 1:
        return [sound]
    split = sound.filter_multi_output("asplit", copies)
    return [split[number] for number in range(copies)]


def _common_options(ladder: Ladder) -> dict[str, Any]:
    options: dict[str, Any] = {
        "f": "tee",
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
    if not ladder.form.makes_sdr:
        options["filter_complex_threads"] = _LIGHT_THREADS
    if ladder.form.segment_type == "fmp4":
        # An initialization section is written from what encoders say before their first frame.
        options["flags"] = "+global_header"
    if ladder.form.segment_type == "fmp4" or ladder.pauses:
        options["bsf:v"] = _REAL_DURATIONS
    return options


def _encoding(ladder: Ladder, rung: Rung, span: Span) -> dict[str, Any]:
    """Return how a rung's picture is encoded, and where its keyframes are."""
    options = encoder_options(ladder.encoded, rung, ladder.form, rate=ladder.pauses.rate if ladder.pauses else None)
    options["force_key_frames"] = _ON_THE_GRID
    if ladder.passage:
        # The first frame is a keyframe anyway; a moment before it would make one of the next.
        cuts = [cut - _NEARLY_THEN_S for cut in ladder.passage.cuts if span.is_after_begin(cut)]
        options["force_key_frames"] = ",".join(f"{cut:.6f}" for cut in cuts) or 0
    if ladder.pauses:
        # Reordered frames would delay the picture by seconds against the sound.
        options["bf"] = 0
    return options


def _slave(ladder: Ladder, picture: int, sound: int | None) -> str:
    """Return what the tee muxer writes for one rendition: its picture, its sound, its playlist and segments."""
    rung = ladder.rungs[picture]
    streams = f"v:{picture}" if sound is None else f"v:{picture},a:{sound}"
    options: dict[str, Any] = {
        "f": "hls",
        "select": rf"\'{streams}\'",
        "hls_time": _CUT_AFTER_S,
        "hls_list_size": 0,
        "hls_playlist_type": "event",
        "hls_flags": "independent_segments",
        "avoid_negative_ts": "disabled",
        "output_ts_offset": CLOCK_START_S,
        "max_interleave_delta": _WAITING_S * 1_000_000,
    }
    if ladder.passage and ladder.is_copied(rung):
        options["hls_time"] = f"{ladder.passage.step_s:.6f}"
        if sound is not None:
            options["bsfs/a"] = _WITHOUT_PRIMING
    if ladder.form.segment_type == "fmp4":
        options |= {"hls_segment_type": "fmp4", "hls_fmp4_init_filename": INIT}
        options["hls_segment_options"] = "movflags=+frag_discont"
    options["hls_segment_filename"] = f"{rung.name}/{segment_pattern(ladder.form.segment_type)}"
    return f"[{':'.join(f'{key}={value}' for key, value in options.items())}]{rung.name}/{MEDIA_PLAYLIST}"
