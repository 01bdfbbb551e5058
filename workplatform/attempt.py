"""An attempt in progress, and the tools that all attempts of a process share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import structlog

from workplatform.bulletins import Bulletins
from workplatform.callbacks import Callbacks
from workplatform.children import ChildPool
from workplatform.gauge import Gauge
from workplatform.heart import Heart
from workplatform.outbound import Outbound
from workplatform.pulse import Pulse
from workplatform.registry import JobType, Registry
from workplatform.settings import Settings
from workplatform.storage.files import AttemptFiles, Remotes
from workplatform.storage.journal import Journals
from workplatform.storage.paths import Roots
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant
from workplatform.submission import Submitter

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What every attempt of a process shares."""

    settings: Settings
    store: JobStore
    heart: Heart
    gauge: Gauge
    children: ChildPool
    journals: Journals
    roots: Roots
    outbound: Outbound
    remotes: Remotes
    registry: Registry
    submitter: Submitter
    callbacks: Callbacks
    bulletins: Bulletins


@dataclass(slots=True)
class Attempt:
    """An attempt in progress."""

    grant: Grant
    job_type: JobType
    pulse: Pulse
    files: AttemptFiles
    result: bytes = b""
    result_document: Any = None
    job_has_ended: bool = False
    may_be_resumed: bool = True
    found: bytes = b""

    @property
    def log(self) -> Any:
        """A log whose lines name the attempt; made when there is something to tell, not before the handler begins."""
        return _log.bind(job_id=self.grant.id, type=self.grant.type, attempt=self.grant.attempts)

    def note(self, found: Mapping[str, Any]) -> None:
        """Keep what the attempt has found."""
        self.found = orjson.dumps(found)


def stall_timeout(grant: Grant) -> timedelta | None:
    """Return how long the job lets an attempt stand still, if it says so."""
    asked_ms = grant.spec.get("stallTimeout")
    return None if asked_ms is None else timedelta(milliseconds=asked_ms)
