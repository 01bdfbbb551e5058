"""From what is asked and what the video is to all that is decided about its encoding but the rate."""

from dataclasses import replace
from pathlib import Path

from workers._encode_command import Plan
from workers._encode_film import Film
from workers._encode_models import EncodePayload
from workers._encode_picture import plan_picture
from workers._encode_size import fit_sounds
from workers._encode_span import Span, span_of
from workers._encode_tracks import plan_sounds, plan_texts


def plan_of(payload: EncodePayload, film: Film, source: Path) -> tuple[Plan, list[str]]:
    """Decide all but the rate; return a sentence too for each track that cannot be kept. Raises BadInputError."""
    span = _span(payload, film)
    sounds = plan_sounds(payload, film, may_copy=payload.trim is None and payload.target_size is None)
    if payload.target_size is not None and payload.audio_bitrate is None:
        sounds = fit_sounds(sounds, payload.target_size, span.expected_s)
    texts, dropped = plan_texts(payload, film)
    container = payload.container
    return Plan(
        source=source,
        film=film,
        span=span,
        container=container,
        codec=payload.picture_codec,
        preset=payload.preset,
        picture=plan_picture(payload, film.video, film.tick),
        frame_rate=payload.frame_rate,
        sounds=sounds,
        texts=texts,
        has_fonts=film.has_fonts and bool(texts) and container.muxer == "matroska",
        keeps_metadata=payload.metadata == "keep",
    ), dropped


def _span(payload: EncodePayload, film: Film) -> Span:
    """Return the part to take.

    Where the clock begins anew, it does not tell where to seek to. From before the first picture, a seek would go to
    that one, and leave out the sound before it.
    """
    video = film.video
    span = span_of(payload.trim, video.container, video.duration_s, film.tick)
    is_early = span.start_s < (video.begin_s or 0.0)
    return replace(span, seek_s=0.0, run_up_s=span.start_s) if video.begins_anew or is_early else span


def without_copies(plan: Plan, payload: EncodePayload) -> Plan:
    """Return the plan with every sound encoded."""
    return replace(plan, sounds=plan_sounds(payload, plan.film, may_copy=False))
