"""How a video is encoded into one file, from the probe to the result."""

from dataclasses import replace
from pathlib import Path

from workers._encode_codecs import ENCODERS, ConstantQuality
from workers._encode_command import Plan
from workers._encode_film import describe, measure
from workers._encode_models import EncodePayload, EncodeResult
from workers._encode_openings import find_openings
from workers._encode_plan import plan_of, without_copies
from workers._encode_quality import ENCODING_ENDS, SEARCH_ENDS, find_crf, measure_vmaf
from workers._encode_result import Encoded, result_of
from workers._encode_run import Step, encode_once
from workers._encode_size import encode_to_size
from workers._encode_span import open_at
from workers._ffmpeg_run import UncopyableError
from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.storage.uris import file_name

# An output this much shorter than its source says it is gets a line in the log.
_NOTABLY_SHORT = 0.95


def encode_film(payload: EncodePayload, job: JobContext) -> EncodeResult:
    """Encode a video; raises JobError."""
    source = job.input(payload.input_path)
    job.stage("probing")
    film = job.isolated(describe, source, file_name(payload.input_path))
    output = job.output(payload.output_path)
    if output.target.exists() and output.target.samefile(source):
        raise BadInputError(f"outputPath: {payload.output_path} is the input: give the result another name")
    plan, dropped = plan_of(payload, film, source)
    if plan.span.start_s and not film.video.begins_anew:
        (opening,) = job.isolated(find_openings, source, [plan.span.start_s])
        plan = replace(plan, span=open_at(plan.span, opening, film.tick)) if opening else plan
    for line in dropped:
        job.log(line)
    try:
        encoded = _write(payload, job, plan, output.path)
    except UncopyableError:
        job.log("a sound is damaged, which cannot be copied: it is encoded")
        plan = without_copies(plan, payload)
        encoded = _write(payload, job, plan, output.path)
    made = job.isolated(measure, output.path)
    if plan.expected_s and made.duration_s < _NOTABLY_SHORT * plan.expected_s:
        job.log(f"the video ends early: {made.duration_s:.1f} s of {plan.expected_s:.1f} s could be read")
    result = result_of(plan, encoded, output.path, made, uri=output.uri, dropped=dropped)
    job.progress(100, f"{result.width}x{result.height}, {result.size:,} bytes, {result.saved_bytes:,} saved")
    return result


def _write(payload: EncodePayload, job: JobContext, plan: Plan, target: Path) -> Encoded:
    """Write the file in the way that is asked for."""
    job.stage("encoding")
    if payload.target_size is not None:
        return Encoded(encode_to_size(job, plan, payload.target_size, target).frames)
    if payload.target_quality is not None:
        return _write_for_the_eye(job, plan, payload.target_quality, target)
    crf = ENCODERS[plan.codec].crf if payload.crf is None else payload.crf
    return Encoded(encode_once(job, plan, ConstantQuality(crf), target, Step("encoding")).frames, crf)


def _write_for_the_eye(job: JobContext, plan: Plan, vmaf: float, target: Path) -> Encoded:
    job.stage("sampling")
    crf = find_crf(job, plan, vmaf)
    job.stage("encoding")
    made = encode_once(job, plan, ConstantQuality(crf), target, Step("encoding", SEARCH_ENDS, ENCODING_ENDS))
    job.stage("measuring")
    return Encoded(made.frames, crf, round(measure_vmaf(job, plan, target, made.frames), 2))
