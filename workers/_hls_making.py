"""How an HLS stream is made, from the probe to the master playlist."""

from functools import partial

from workers._hls_encoding import count_renditions
from workers._hls_extras import add_extras, plan_extras
from workers._hls_ladder import climb
from workers._hls_master import MASTER, OWNED, master_playlist
from workers._hls_models import HlsPayload, HlsResult
from workers._hls_package import complete, note_shortness, origin, package, result
from workers._hls_passthrough import choose_passage
from workers._hls_pauses import find_pauses
from workers._hls_pictures import make_pictures
from workers._hls_plan import Ladder, form_for
from workers._hls_renditions import Renditions
from workers._probe import probe
from workplatform.context import JobContext
from workplatform.errors import BadInputError
from workplatform.storage.uris import file_name


def make_stream(payload: HlsPayload, job: JobContext) -> HlsResult:
    """Make a stream; raises JobError."""
    source = job.input(payload.input_path)
    job.stage("probing")
    name = file_name(payload.input_path)
    video = job.isolated(probe, source, name)
    form = form_for(video.colour, payload.codec, payload.packed_as, tone_map=payload.tone_map)
    rungs = climb(payload.qualities, video.width, video.height, payload.codec)
    names = [rung.name for rung in rungs]
    video, extras = plan_extras(job, payload, source, video, rungs)
    made_from = origin(source, rungs, form, payload.passthrough, extras)
    kept = None if payload.overwrite else complete(job, payload.output_dir, names, made_from)
    if kept is not None:
        job.progress(100, "already complete")
        return result(kept, payload.output_dir, skipped=True)
    output = job.output(payload.output_dir, directory=True, last=MASTER, owned=OWNED, resume=True)
    if source.is_relative_to(output.target):
        raise BadInputError(
            f"{payload.input_path} lies inside {payload.output_dir}: give the stream a folder of its own"
        )
    pauses = job.isolated(find_pauses, source, name, video)
    ladder = choose_passage(job, source, video, Ladder(tuple(rungs), form, pauses), payload.passthrough)
    job.stage("transcoding")
    renditions = Renditions(
        source, video, made_from, are_final=payload.encryption is None, is_early=payload.early_master
    )
    ladder, frames = make_pictures(job, output.path, ladder, make=partial(renditions.make, job, output))
    job.stage("measuring")
    made = package(job, output.path, ladder, video, frames)
    note_shortness(job, output.path, made, video)
    made = add_extras(job, extras, made, output, source=source, rungs=rungs)
    (output.path / MASTER).write_text(master_playlist(made, made_from), encoding="utf-8")
    job.progress(100, f"{count_renditions(len(rungs))} ready")
    return result(made, output.uri, skipped=False)
