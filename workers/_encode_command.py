"""The ffmpeg commands of an encode job."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from workers._encode_codecs import Codec, Preset, Rate, TwoPasses, encoder_words
from workers._encode_containers import Container
from workers._encode_film import Film
from workers._encode_picture import Picture
from workers._encode_span import Span
from workers._encode_tracks import Sound, Text, track_words
from workers._ffmpeg import only_this_file, quiet_start


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided about an encoding but its rate; `frame_rate` is None where frames keep their times."""

    source: Path
    film: Film
    span: Span
    container: Container
    codec: Codec
    preset: Preset
    picture: Picture
    frame_rate: Fraction | None
    sounds: Sequence[Sound]
    texts: Sequence[Text]
    has_fonts: bool
    keeps_metadata: bool

    @property
    def expected_s(self) -> float | None:
        """The length to expect, in seconds."""
        return self.span.expected_s


def encode_command(plan: Plan, rate: Rate, target: Path) -> list[str]:
    """Return the command that writes the file, or, as the first of two passes, only its log.

    It has to run in a folder of its own. Progress comes on standard output.
    """
    is_first_pass = isinstance(rate, TwoPasses) and rate.number == 1
    is_alone = is_first_pass or not (plan.sounds or plan.texts)
    span = picture_span(plan, plan.span) if is_alone else plan.span
    words = [*quiet_start(), *source_words(plan, span), "-map", f"0:{plan.film.video.index}"]
    if not is_first_pass:
        words += _maps(plan)
    words += _ending(span)
    held = span.filters if span.held_s is not None else []
    words += ["-vf", ",".join([*held, plan.picture.filters]), *picture_words(plan, rate)]
    if is_first_pass:
        return [*words, "-f", "null", os.devnull]
    words += track_words(plan.sounds, plan.texts, plan.span)
    words += _about(plan)
    # No random numbers and no versions in the file: the same again is the same bytes.
    words += ["-fflags", "+bitexact", "-max_muxing_queue_size", "4096", *plan.container.options]
    return [*words, "-f", plan.container.muxer, f"file:{target}"]


def picture_span(plan: Plan, span: Span) -> Span:
    """Return a part as ffmpeg counts its time where nothing is taken but the picture.

    In files whose clock may jump it counts from the first packet of what is taken, unless it seeks to one behind that.
    """
    video = plan.film.video
    late_s = (video.begin_s or 0.0) - span.seek_s
    if not video.clock or late_s <= 0:
        return span
    return replace(span, run_up_s=max(0.0, span.run_up_s - late_s))


def source_words(plan: Plan, span: Span) -> list[str]:
    """Return the options that open the source at the beginning of a span."""
    video = plan.film.video
    options = only_this_file(video.container, video.longest_step_s)
    words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    if span.held_s is not None and not span.run_up_s:
        # Else what is before the start would be dropped, and with it the picture that is on screen then.
        words.append("-noaccurate_seek")
    if span.seek_s:
        words += ["-ss", f"{span.seek_s:.6f}"]
    return [*words, "-i", f"file:{plan.source}"]


def picture_words(plan: Plan, rate: Rate) -> list[str]:
    """Return the options of the picture's encoder."""
    tick = plan.picture.tick
    words = encoder_words(plan.codec, plan.preset, rate, width=plan.picture.width)
    # Every frame keeps its own time; none is doubled or dropped to fit a constant rate.
    words += ["-fps_mode:v", "vfr", "-enc_time_base:v", f"{tick.numerator}:{tick.denominator}"]
    if plan.codec == "hevc" and plan.container.muxer in {"mp4", "mov"}:
        words += ["-tag:v", "hvc1"]
    return words


def _ending(span: Span) -> list[str]:
    words = ["-ss", f"{span.run_up_s:.6f}"] if span.run_up_s else []
    return [*words, "-t", f"{span.length_s:.6f}"] if span.length_s is not None else words


def _maps(plan: Plan) -> list[str]:
    tracks = [*(sound.track for sound in plan.sounds), *(text.track for text in plan.texts)]
    words = [word for track in tracks for word in ("-map", f"0:{track.index}")]
    return [*words, "-map", "0:t", "-c:t", "copy"] if plan.has_fonts else words


def _about(plan: Plan) -> list[str]:
    if plan.keeps_metadata:
        place = plan.film.place
        return ["-map_metadata", "0", "-map_chapters", "0", *(["-metadata", f"location={place}"] if place else [])]
    # Matroska has no file inside it without a name and a type.
    names = ["-map_metadata:s:t", "0:s:t"] if plan.has_fonts else []
    return ["-map_metadata", "-1", "-map_chapters", "-1", *names]
