"""Running one encoding of an encode job, and the words about how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers._encode_codecs import Rate, TwoPasses
from workers._encode_command import Plan, encode_command
from workers._encode_span import Span
from workers._ffmpeg import Progress, in_words
from workers._ffmpeg_run import run_ffmpeg
from workplatform.context import JobContext
from workplatform.errors import BadInputError

# Probing before, and looking at the result after it, take well under a second.
STARTS, ENDS = 1.0, 99.0


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the work: what it is called, and the percents of the whole job at which it starts and ends."""

    words: str
    starts: float = STARTS
    ends: float = ENDS


def encode_once(job: JobContext, plan: Plan, rate: Rate, target: Path, step: Step) -> Progress:
    """Run one encoding, or one pass of it; return its last report.

    Raises EncoderError, NoSpaceError, or BadInputError if no picture could be decoded.
    """
    made = run_ffmpeg(
        job,
        encode_command(plan, rate, target),
        folder=job.workdir,
        making="the video",
        tell=teller(job, step, plan.expected_s),
    )
    is_first_pass = isinstance(rate, TwoPasses) and rate.number == 1
    if not made.frames and not is_first_pass:
        raise no_picture(plan.span)
    return made


def no_picture(span: Span) -> BadInputError:
    """Return the error for a video, or a part of one, that nothing could be made of."""
    if span.start_s or span.length_s is not None:
        return BadInputError(f"trim: no picture of the video could be decoded from {span.start_s:.3f} s on")
    return BadInputError("damaged video: no picture of it could be decoded")


def teller(job: JobContext, step: Step, length_s: float | None) -> Callable[[Progress], None]:
    """Return what reports a step's progress, with speed and time left, `length_s` being the media that it writes."""

    def tell(progress: Progress) -> None:
        words = [step.words]
        if progress.speed:
            words.append(f"{progress.speed:.2g}x")
        if not length_s:
            job.progress(step.starts, ", ".join([*words, f"{progress.written_s:.0f} s done"]))
            return
        share = min(1.0, progress.written_s / length_s)
        if progress.speed:
            # Steps to come take their share of the job's percents.
            rest = 1 - share + (ENDS - step.ends) / (step.ends - step.starts)
            words.append(f"{in_words(length_s / progress.speed * rest)} left")
        job.progress(step.starts + share * (step.ends - step.starts), ", ".join(words))

    return tell
