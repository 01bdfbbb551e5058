"""Doorkeeping: submissions are refused while Redis runs short of memory, and no longer."""

import pytest

from tests.builders import a_job
from workplatform.doorkeeping import Doorkeeper
from workplatform.limiting import LimitService
from workplatform.refusals import MemoryShortError
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore


def keeper(store: JobStore) -> Doorkeeper:
    service = LimitService(store.limits, types=["nap"], keys=["default"], configured={"type:nap": {"rule": "1 - -"}})
    return Doorkeeper(service, store.limits, 0.9)


def test_the_limits_that_settings_name_are_written_down(store: JobStore) -> None:
    keeper(store).tick()
    assert [state.name for state in store.limits.states()] == ["type:nap"]


def test_a_server_without_a_bound_refuses_nothing(store: JobStore, connector: Connector) -> None:
    assert connector.client.info("memory")["maxmemory"] == 0
    keeper(store).tick()
    store.create([a_job()])


def test_submissions_are_refused_above_the_share_of_memory_and_taken_below(
    store: JobStore, connector: Connector
) -> None:
    used = int(connector.client.info("memory")["used_memory"])
    try:
        connector.client.config_set("maxmemory", used + (10 << 20))
        keeper(store).tick()
        store.create([a_job()])
        connector.client.config_set("maxmemory", int(used / 0.95))
        keeper(store).tick()
        with pytest.raises(MemoryShortError):
            store.create([a_job()])
        assert store.page().counts != {}
    finally:
        connector.client.config_set("maxmemory", 0)


def test_a_refusal_ends_when_no_scheduler_renews_it(store: JobStore, connector: Connector) -> None:
    store.limits.refuse_submissions(60_000)
    connector.client.hset("test:rules", "full", 1)
    store.create([a_job()])
