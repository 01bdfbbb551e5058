"""Job types for the tests: what a job can do to its worker, each as small as it can be."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from workplatform.context import JobContext
from workplatform.errors import BadInputError, CommandFailedError, EncoderError, JobError, RetryLater
from workplatform.models import Payload, Result
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy

QUICK_RETRIES = RetryPolicy(max_retries=3, initial_delay=50)
LINE = 8


class Nothing(Payload):
    """No fields at all."""


class Note(Payload):
    """Something to write down."""

    path: str = Field(description="File to write or append to")
    text: str = Field("", description="What to write")
    seconds: float = Field(0.0, description="How long to take")
    again: float | None = Field(None, description="How long later attempts take, if not as long")

    def time_of(self, attempt: int) -> float:
        """Return how many seconds an attempt takes."""
        return self.seconds if attempt == 1 or self.again is None else self.again


class Lines(Payload):
    """A file to grow line by line."""

    path: str = Field(description="File to write")
    lines: int = Field(description="How many lines")
    pause: float = Field(0.0, description="Seconds between lines")


class Grown(Result):
    """The file is whole."""

    written: int = Field(description="Lines that the last attempt wrote itself")


class Done(Result):
    """It worked."""

    attempt: int = Field(0, description="Which attempt it was")


@job_type("noop", queue="noop", concurrency=4)
def noop(payload: Nothing, job: JobContext) -> Done:  # noqa: ARG001
    """Do nothing."""
    return Done(attempt=job.attempt)


@job_type("nap", queue="nap", concurrency=2, retry=QUICK_RETRIES)
def nap(payload: Note, job: JobContext) -> Done:
    """Write the file, then take the time, telling how far it is."""
    output = job.output(payload.path)
    output.path.write_text(payload.text)
    job.stage("napping")
    job.log(f"attempt {job.attempt} begins")
    seconds = payload.time_of(job.attempt)
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        job.check_cancelled()
        job.progress(100 * (1 - left / seconds), f"{left:.1f} s left")
        time.sleep(min(left, 0.05))
    return Done(attempt=job.attempt)


@job_type("stuck", queue="stuck", concurrency=1, retry=QUICK_RETRIES)
def stuck(payload: Nothing, job: JobContext) -> Done:  # noqa: ARG001
    """Ask for ever whether to stop, and do nothing else."""
    while True:
        job.check_cancelled()
        time.sleep(0.02)


@job_type("trace", queue="trace", concurrency=1, retry=QUICK_RETRIES)
def trace(payload: Note, job: JobContext) -> Done:
    """Append the text to a file, so that a test sees what ran and in which order."""
    with job.input(payload.path).open("a") as file:
        file.write(f"{payload.text}\n")
    time.sleep(payload.seconds)
    return Done(attempt=job.attempt)


@job_type("flaky", queue="flaky", concurrency=2, retry=QUICK_RETRIES)
def flaky(payload: Note, job: JobContext) -> Done:
    """Fail until the attempt that the text names."""
    if job.attempt < int(payload.text):
        raise JobError(f"attempt {job.attempt} fails on purpose")
    return Done(attempt=job.attempt)


@job_type("broken", queue="flaky", concurrency=2, retry=QUICK_RETRIES)
def broken(payload: Note, job: JobContext) -> Done:
    """Fail in the way that the text names."""
    if payload.text == "bad input":
        raise BadInputError("this can never work")
    if payload.text == "no text":
        name = os.fsdecode(b"caf\xe9")
        job.stage(name)
        job.progress(50, name)
        job.log(name)
        raise BadInputError(f"{name} cannot be read")
    if payload.text == "later":
        raise RetryLater("not now", delay_s=0.05)
    if payload.text == "kill worker":
        os.kill(os.getpid(), signal.SIGKILL)
    if payload.text == "crash child":
        job.isolated(kill_myself)
    if payload.text == "hang":
        job.isolated(time.sleep, 600)
    raise ValueError("a bug")


def kill_myself() -> None:
    """End this process as a crashing library would."""
    os.kill(os.getpid(), signal.SIGSEGV)


@job_type("slow", queue="slow", concurrency=1, time_limit=timedelta(seconds=1), retry=RetryPolicy(max_retries=0))
def slow(payload: Note, job: JobContext) -> Done:
    """Run a program that outlasts the time limit."""
    job.run(["sleep", str(payload.seconds)])
    return Done(attempt=job.attempt)


@job_type("program", queue="program", concurrency=2, retry=QUICK_RETRIES)
def program(payload: Note, job: JobContext) -> Done:
    """Run a program that starts another one in the background, with an output half written."""
    output = job.output(payload.path)
    output.path.write_text("half")
    job.progress(50, "half")
    seconds = payload.time_of(job.attempt)
    job.run(["sh", "-c", f"sleep {seconds} & sleep {seconds}"])
    Path(output.path).write_text("whole")
    return Done(attempt=job.attempt)


@job_type("grow", queue="grow", concurrency=2, retry=QUICK_RETRIES)
def grow(payload: Lines, job: JobContext) -> Grown:
    """Write numbered lines, going on where an earlier attempt stopped."""
    output = job.output(payload.path, resume=True)
    if not output.note.exists():
        output.note.write_text("lines")
    begin = output.path.stat().st_size // LINE
    with output.path.open("r+b", buffering=0) as file:
        file.seek(begin * LINE)
        for number in range(begin, payload.lines):
            job.check_cancelled()
            file.write(b"%07d\n" % number)
            job.progress(100 * number / payload.lines, str(number))
            time.sleep(payload.pause)
    return Grown(written=payload.lines - begin)


@job_type("batch", queue="batch", concurrency=2, retry=RetryPolicy(max_retries=0))
def batch(payload: Note, job: JobContext) -> Done:
    """Write three files: publish one, drop one, and fail with the third one half written if the text says so."""
    kept, dropped, last = (job.output(f"{payload.path}/{name}.txt") for name in ("kept", "dropped", "last"))
    kept.path.write_text("whole")
    dropped.path.write_text("half")
    last.path.write_text("half")
    job.publish(kept)
    job.drop(dropped)
    job.progress(50, "published")
    job.isolated(time.sleep, payload.seconds)
    if payload.text == "fail":
        raise BadInputError("the rest cannot work")
    last.path.write_text("whole")
    return Done(attempt=job.attempt)


@job_type("late", queue="late", retry=QUICK_RETRIES)
def late(payload: Note, job: JobContext) -> Done:
    """Publish a file once the one that the text names is there; without, the first attempt freezes its worker."""
    output = job.output(payload.path, resume=True)
    output.note.write_text("attempt")
    output.path.write_text(f"attempt {job.attempt}")
    while payload.text and not Path(payload.text).exists():
        time.sleep(0.02)
    if not payload.text and job.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    job.publish(output)
    return Done(attempt=job.attempt)


@job_type("fill", queue="fill", concurrency=2, retry=RetryPolicy(max_retries=1, initial_delay=10))
def fill(payload: Note, job: JobContext) -> Done:
    """Write without end in the way that the text names; every second so often, if seconds say so."""
    output = job.output(payload.path, resume=True)
    output.note.write_text("zeros")
    job.progress(1, "writing")
    if payload.text == "program":
        ended = job.run(["dd", "if=/dev/zero", f"of={output.path}", "bs=64k"])
        raise CommandFailedError(f"dd ended with {ended.returncode}")
    if payload.text == "child":
        job.isolated(write_without_end, str(output.path))
    with output.path.open("wb", buffering=0) as file:
        while True:
            job.check_cancelled()
            file.write(bytes(1 << 16))
            time.sleep(payload.seconds)


def write_without_end(path: str) -> None:
    """Write zeros until that fails."""
    try:
        with Path(path).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    except OSError as error:
        raise EncoderError("the picture could not be saved") from error


@job_type(
    "alone",
    queue="alone",
    concurrency=4,
    retry=QUICK_RETRIES,
    series=lambda payload: payload.path,
    cancels_running=lambda payload: payload.text == "now",
)
def alone(payload: Note, job: JobContext) -> Done:
    """Take the time, one at a time for each path, leaving word of begin and end."""
    with job.input(payload.path).open("a") as file:
        file.write(f"begin {job.id}\n")
        file.flush()
        try:
            job.run(["sleep", str(payload.seconds)])
        finally:
            file.write(f"end {job.id}\n")
    return Done(attempt=job.attempt)
