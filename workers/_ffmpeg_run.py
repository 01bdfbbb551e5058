"""Running ffmpeg to its end: its words in the job's log, its progress as it comes, its failure as an error of ours."""

import shlex
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from workers._ffmpeg import Progress, ProgressReader, failure_reason, is_disk_full, is_not_to_be_copied
from workplatform.context import JobContext
from workplatform.errors import EncoderError, NoSpaceError

_LOGGED_LINES = 20
# Errors only: SVT-AV1 writes a page about itself otherwise, in place of what matters in the log.
_ENVIRONMENT = {"SVT_LOG": "1"}


class UncopyableError(EncoderError):
    """A packet to be copied is broken."""


def run_ffmpeg(
    job: JobContext, command: Sequence[str], *, folder: Path, making: str, tell: Callable[[Progress], None]
) -> Progress:
    """Run a command made with quiet_start() in a folder and return its last report; each goes to `tell`.

    Raises EncoderError, UncopyableError where decoding would have helped, or NoSpaceError where the disk was full; all
    say what it was `making`.
    """
    job.log(shlex.join(command))
    reader, tail = ProgressReader(), deque[str](maxlen=_LOGGED_LINES)

    def read(line: str) -> None:
        progress = reader.feed(line)
        if progress is not None:
            tell(progress)

    try:
        ended = job.run(command, cwd=folder, env=_ENVIRONMENT, on_stdout=read, on_stderr=tail.append)
    finally:
        for line in tail:
            job.log(line)
    if is_disk_full(tail):
        raise NoSpaceError(f"the disk is full: ffmpeg could not write {making}")
    if ended.returncode != 0 and is_not_to_be_copied(tail):
        raise UncopyableError(f"ffmpeg could not make {making}: a packet to be copied is broken")
    if ended.returncode != 0:
        raise EncoderError(f"ffmpeg could not make {making}: {failure_reason(ended.returncode, tail)}")
    return reader.latest
