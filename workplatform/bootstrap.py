"""The composition root: builds the platform of one process from its settings."""

from dataclasses import dataclass

from workplatform.apikeys import DEFAULT
from workplatform.callbacks import Callbacks
from workplatform.celery_app import Wakeups
from workplatform.deliveries import DeliveryService
from workplatform.embedded import address
from workplatform.expiry import Expiry
from workplatform.failures import FailureService
from workplatform.firing import Firing
from workplatform.grouping import GroupService
from workplatform.groupwork import GroupWork
from workplatform.limiting import LimitService
from workplatform.limits import configured_limits
from workplatform.outbound import Outbound
from workplatform.registry import Registry, discover
from workplatform.retention import sweeping_rules
from workplatform.retrying import RetryService
from workplatform.scheduling import ScheduleService
from workplatform.service import JobService
from workplatform.settings import Settings
from workplatform.store.admission import Admission
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.submission import Submitter
from workplatform.superseding import Superseding
from workplatform.sweeping import Sweeping


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything a process of the platform works with. Nothing is connected before it is used."""

    settings: Settings
    registry: Registry
    connector: Connector
    store: JobStore
    submitter: Submitter
    callbacks: Callbacks
    service: JobService
    outbound: Outbound
    schedules: ScheduleService
    firing: Firing
    sweeping: Sweeping
    expiry: Expiry
    deliveries: DeliveryService
    groups: GroupService
    group_work: GroupWork
    failures: FailureService
    retrying: RetryService
    limits: LimitService

    def close(self) -> None:
        """Close every connection."""
        self.connector.close()


def build(settings: Settings, *, patience_s: float = 5.0, acknowledges: bool = False) -> Platform:
    """Build the platform; `patience_s` is how long it waits for an answer of Redis.

    `acknowledges`: callers are told of what is done, so that it has to be as durable as the settings say.
    Raises RegistryError for a wrong job type, SettingsError for a wrong ALLOWED_HOSTS, a CONCURRENCY_... of no queue, a
    RETENTION_... that means nothing or a LIMIT_... of no type and no key.
    """
    outbound = Outbound(allowed_hosts=settings.allowed_hosts, allow_loopback=settings.is_keyless)
    registry = discover(settings.job_packages)
    settings.check_queues(registry.queues)
    rules = sweeping_rules(settings.retention, settings.retentions, registry)
    connector = Connector(address(settings), patience_s=patience_s)
    types = {queue: [declared.name for declared in found] for queue, found in registry.queues.items()}
    store = JobStore(
        connector,
        prefix=settings.key_prefix,
        admission=Admission(settings.queue_depth_max, types),
        is_durable=acknowledges and settings.durability == "always",
    )
    limits = _limits(settings, registry, store)
    submitter = Submitter(registry, Wakeups(), outputs_expire=settings.outputs_expire)
    callbacks = Callbacks(submitter, signs=settings.webhook_secret is not None)
    service = JobService(
        registry=registry,
        store=store,
        events=EventLog(connector, prefix=settings.key_prefix),
        submitter=submitter,
        callbacks=callbacks,
    )
    superseding = Superseding(registry, store, callbacks)
    firing = Firing(store=store, submitter=submitter, callbacks=callbacks, superseding=superseding)
    schedules = ScheduleService(registry=registry, book=store.schedules, submitter=submitter, firing=firing)
    sweeping = Sweeping(store, rules)
    work = GroupWork(store, submitter, callbacks)
    groups = GroupService(registry, store, submitter, superseding, work)
    deliveries = DeliveryService(store, submitter)
    return Platform(
        settings=settings,
        registry=registry,
        connector=connector,
        store=store,
        submitter=submitter,
        callbacks=callbacks,
        service=service,
        outbound=outbound,
        schedules=schedules,
        firing=firing,
        sweeping=sweeping,
        expiry=Expiry(store, settings.data_dir, settings.allowed_roots[0]),
        deliveries=deliveries,
        groups=groups,
        group_work=work,
        failures=FailureService(service, store.failures),
        retrying=RetryService(service, store, submitter),
        limits=limits,
    )


def _limits(settings: Settings, registry: Registry, store: JobStore) -> LimitService:
    types, keys = frozenset(registry), frozenset({DEFAULT, *settings.keys})
    configured = configured_limits(settings.limits, types=types, keys=keys)
    return LimitService(store.limits, types=types, keys=keys, configured=configured)
