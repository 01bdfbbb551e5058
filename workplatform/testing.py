"""Doubles that ship with the platform: run a handler without Redis or Celery, on real files with real children."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from workplatform.children import ChildPool
from workplatform.context import JobContext
from workplatform.outbound import Outbound
from workplatform.pulse import Pulse
from workplatform.registry import preloads, type_of
from workplatform.secretfiles import no_secret
from workplatform.signing import Keys, no_keys
from workplatform.storage.files import AttemptFiles, Remotes
from workplatform.storage.journal import Journals
from workplatform.storage.local import LocalFiles
from workplatform.storage.paths import Roots
from workplatform.storage.s3 import S3, Account
from workplatform.storage.traces import TraceFolder

_JOB_ID = "job_00000000000000000000000000"


@dataclass(slots=True)
class InlineRun:
    """A handler's run: its context while it lasts, and what it told."""

    job: JobContext
    pulse: Pulse
    files: AttemptFiles
    told: list[tuple[float, str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)

    def look(self) -> None:
        """Note progress, stage, message and log lines since the last look."""
        beat = self.pulse.take()
        self.lines += beat.lines
        if beat.changed:
            self.told.append((beat.progress, beat.stage, beat.message))


@contextmanager
def inline_job(  # noqa: PLR0913 - the parts of an attempt that a test may choose
    root: Path,
    *,
    preload: tuple[str, ...] = (),
    time_limit: timedelta = timedelta(minutes=10),
    children: ChildPool | None = None,
    outbound: Outbound | None = None,
    account: Account | None = None,
    job_id: str = _JOB_ID,
    attempt: int = 1,
    is_tried_again: bool = False,
    secrets: Callable[[str], str] = no_secret,
    keys: Keys = no_keys,
) -> Iterator[InlineRun]:
    """Give a context whose files live under `root`; on success outputs are committed, else discarded.

    `children` lends warm children, as a worker has them; without, the run has its own. `outbound` is the way out, by
    default one that may call this machine, `account` the S3 store. `is_tried_again` keeps what a failed attempt leaves
    for a later one, with a higher number, to resume.
    """
    state = root / ".workplatform"
    pulse = Pulse(job_id, attempt, time_limit=time_limit, on_change=threading.Event())
    roots = Roots([root], base=root, reserved=[state])
    journals = Journals(state / "attempts")
    outbound = outbound or Outbound(allowed_hosts=(), allow_loopback=True)
    local = LocalFiles(roots, journals.open(job_id, attempt), state / "work", pulse.check)
    remotes = Remotes(outbound, S3(account or Account(), outbound), TraceFolder(state / "uploads"))
    files = AttemptFiles(local, remotes, pulse)
    notes: list[Mapping[str, Any]] = []
    pool = children or ChildPool(preload=preload)
    job = JobContext(
        job_id=job_id,
        attempt=attempt,
        reporter=pulse,
        files=files,
        children=pool,
        outbound=outbound,
        confirm=pulse.check,
        secrets=secrets,
        keys=keys,
        note=notes.append,
    )
    run = InlineRun(job, pulse, files, notes=notes)
    has_ended = not is_tried_again
    try:
        yield run
        files.check()
        files.send()
        files.commit()
        has_ended = True
    finally:
        run.look()
        files.discard(keep=not has_ended)
        if has_ended:
            journals.close_job(job_id, attempt)
        if children is None:
            pool.close()


def run_inline(
    handler: Callable[..., Any],
    payload: Mapping[str, Any],
    *,
    root: Path,
    account: Account | None = None,
    attempt: int = 1,
    is_tried_again: bool = False,
) -> dict[str, Any]:
    """Run a job type's handler on a payload as a worker would; returns the result as the wire shows it.

    Raises what the handler raises. `attempt` and `is_tried_again` are as for inline_job().
    """
    declared = type_of(handler)
    with inline_job(
        root,
        preload=preloads(declared),
        time_limit=declared.time_limit,
        account=account,
        attempt=attempt,
        is_tried_again=is_tried_again,
    ) as run:
        result = declared.handler(declared.payload_model.model_validate(payload), run.job)
    document: dict[str, Any] = result.model_dump(mode="json", by_alias=True)
    return document
