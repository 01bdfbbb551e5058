"""The checkup of a platform's store: whatever is derived from the jobs' records, held against them."""

from collections.abc import Iterator
from contextlib import contextmanager

from workplatform import embedded
from workplatform.errors import StoreUnavailableError
from workplatform.registry import Registry, discover
from workplatform.settings import Settings
from workplatform.store.connection import Connector
from workplatform.store.fsck.survey import PATIENCE_S, Survey


@contextmanager
def checkup(settings: Settings, *, patience_s: float = PATIENCE_S) -> Iterator[Survey]:
    """Give the survey of a platform that runs or stands still; an embedded server that is down runs meanwhile.

    Raises StoreUnavailableError if the job store does not answer, RegistryError for a wrong job type.
    """
    registry = discover(settings.job_packages)
    if embedded.is_ready(settings):
        with _survey(settings, registry, patience_s) as survey:
            yield survey
    elif settings.queue_type == "redis":
        raise StoreUnavailableError(f"the job store at {embedded.shown_address(settings)} does not answer")
    else:
        with embedded.running(settings), _survey(settings, registry, patience_s) as survey:
            yield survey


@contextmanager
def _survey(settings: Settings, registry: Registry, patience_s: float) -> Iterator[Survey]:
    connector = Connector(embedded.address(settings))

    def takes_slot(job_type: str) -> bool:
        declared = registry.get(job_type)
        return declared is not None and declared.is_local_work

    try:
        yield Survey(connector, prefix=settings.key_prefix, takes_slot=takes_slot, patience_s=patience_s)
    finally:
        connector.close()
