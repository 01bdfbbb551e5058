"""Encoding to a quality: VMAF of short cuts finds the rate, and VMAF of the whole tells what came out."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from workers._encode_codecs import ENCODERS, ConstantQuality
from workers._encode_command import Plan, picture_words, source_words
from workers._encode_openings import find_openings
from workers._encode_run import ENDS, STARTS, Step, no_picture, teller
from workers._encode_search import search
from workers._encode_span import Span, run_up
from workers._ffmpeg import Progress, quiet_start
from workers._ffmpeg_run import run_ffmpeg
from workers._video import is_indexed
from workplatform.context import JobContext
from workplatform.errors import EncoderError

SEARCH_ENDS, ENCODING_ENDS = 20.0, 88.0
_CUT_S = 2.0
_SAMPLED_SHARE = 0.1
_FEWEST_CUTS, _MOST_CUTS = 4, 10
# So many frames have nearly the mean of all.
_SCORED_IN_CUTS, _SCORED = 150, 400
_LOG = "vmaf.json"
_SAMPLE = "sample.mkv"


def find_crf(job: JobContext, plan: Plan, target: float) -> float:
    """Return the CRF whose VMAF in cuts of the video is the least that reaches the target."""
    encoder = ENCODERS[plan.codec]
    cuts = _reachable(job, plan, cuts_of(plan.span))
    low, high = encoder.crf_range
    tried = 0

    def score(crf: float) -> float:
        nonlocal tried
        vmaf = _score_of_cuts(job, plan, cuts, crf)
        tried += 1
        done = STARTS + (SEARCH_ENDS - STARTS) * (1 - 0.6**tried)
        job.progress(done, f"crf {crf:g} has VMAF {vmaf:.1f} in {len(cuts)} cut{'s' if len(cuts) > 1 else ''}")
        job.log(f"crf {crf:g}: VMAF {vmaf:.2f} in cuts at {', '.join(f'{cut.start_s:.1f}' for cut in cuts)} s")
        return vmaf

    found, vmaf = search(score, target, low=low, high=high, start=encoder.crf, step=encoder.crf_step)
    if vmaf < target:
        job.log(f"VMAF {target:g} is not reached: the best quality, crf {found:g}, has {vmaf:.2f}")
    return found


def cuts_of(span: Span) -> list[Span]:
    """Return the cuts that stand for a part of a video, spread evenly; the whole of a short one."""
    length_s = span.expected_s
    if not length_s or length_s <= _FEWEST_CUTS * _CUT_S:
        return [replace(span, length_s=span.length_s if length_s else _FEWEST_CUTS * _CUT_S)]
    count = max(_FEWEST_CUTS, min(_MOST_CUTS, round(_SAMPLED_SHARE * length_s / _CUT_S)))
    middles = [length_s * (2 * number + 1) / (2 * count) for number in range(count)]
    return [Span(span.start_s + middle - _CUT_S / 2, 0.0, _CUT_S, _CUT_S) for middle in middles]


def _reachable(job: JobContext, plan: Plan, cuts: list[Span]) -> list[Span]:
    """Return the cuts with the keyframes that they need, which without an index may be far before them."""
    if is_indexed(plan.film.video.container) or cuts[0].start_s == plan.span.start_s:
        return cuts
    openings = job.isolated(find_openings, plan.source, [cut.start_s for cut in cuts])
    return [
        run_up(cut, opening, plan.film.tick) if opening else cut for cut, opening in zip(cuts, openings, strict=True)
    ]


def measure_vmaf(job: JobContext, plan: Plan, made: Path, frames: int) -> float:
    """Return the mean VMAF of what was made, over frames from all of it."""
    step = Step("measuring", ENCODING_ENDS, ENDS)
    return _vmaf(job, plan, [plan.span], made, frames // _SCORED, teller(job, step, plan.expected_s))


def _score_of_cuts(job: JobContext, plan: Plan, cuts: list[Span], crf: float) -> float:
    sample = job.workdir / _SAMPLE
    words = [*quiet_start(), *_openings(plan, cuts)]
    words += ["-filter_complex", _joined(plan, cuts), "-map", "[joined]"]
    words += [*picture_words(plan, ConstantQuality(crf)), "-f", "matroska", f"file:{sample}"]
    words += _clocks(plan, cuts)
    made = run_ffmpeg(job, words, folder=job.workdir, making="a sample", tell=_say_nothing)
    if not made.frames:
        raise no_picture(plan.span)
    return _vmaf(job, plan, cuts, sample, made.frames // _SCORED_IN_CUTS, _say_nothing)


def _vmaf(
    job: JobContext, plan: Plan, cuts: list[Span], made: Path, every: int, tell: Callable[[Progress], None]
) -> float:
    """Compare a file with the cuts of the source, as they are before they are encoded, at the same times."""
    words = [*quiet_start(), *_openings(plan, cuts), "-protocol_whitelist", "file", "-i", f"file:{made}"]
    # An odd distance, so that it is not always the same kind of frame in a group of pictures.
    options = f"n_subsample={every | 1}:n_threads={os.cpu_count() or 1}:log_fmt=json:log_path={_LOG}"
    graph = f"{_joined(plan, cuts)};[joined]setpts=PTS-STARTPTS[original];[{len(cuts)}:v:0]setpts=PTS-STARTPTS[made];"
    graph += f"[made][original]libvmaf={options}:shortest=1:ts_sync_mode=nearest"
    words += ["-filter_complex", graph, "-fps_mode", "passthrough", "-f", "null", os.devnull, *_clocks(plan, cuts)]
    run_ffmpeg(job, words, folder=job.workdir, making="a comparison", tell=tell)
    return _mean(job.workdir / _LOG)


def _mean(log: Path) -> float:
    try:
        return float(json.loads(log.read_bytes())["pooled_metrics"]["vmaf"]["mean"])
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError("ffmpeg compared no pictures") from error


def _openings(plan: Plan, cuts: list[Span]) -> list[str]:
    return [word for cut in cuts for word in source_words(plan, cut)]


def _clocks(plan: Plan, cuts: list[Span]) -> list[str]:
    """Return outputs of nothing that take the sounds too: without them ffmpeg counts time from the first picture on.

    It does so with files whose clock may jump.
    """
    nothing = ["-t", "0.1", "-c", "copy", "-f", "null", os.devnull]
    inputs = range(len(cuts)) if plan.film.video.clock else []
    return [word for number in inputs if plan.film.sounds for word in ("-map", f"{number}:a", *nothing)]


def _joined(plan: Plan, cuts: list[Span]) -> str:
    """Return the filters that bring the cuts, from the inputs in their order, to one picture stream `joined`."""
    index, filters = plan.film.video.index, plan.picture.filters
    chains = []
    for number, cut in enumerate(cuts):
        chain = ",".join([*cut.filters, "setpts=PTS-STARTPTS", filters])
        chains.append(f"[{number}:{index}]{chain}[cut{number}]")
    labels = "".join(f"[cut{number}]" for number in range(len(cuts)))
    return ";".join([*chains, f"{labels}concat=n={len(cuts)}[joined]"])


def _say_nothing(_: Progress) -> None:
    """Progress inside a sample is not that of the job."""
