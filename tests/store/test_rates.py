"""Rates: so many jobs in a span of time, over all workers."""

import time

import pytest

from tests.builders import claim, completed
from tests.store.limiting import OVER, ask, leftovers, limited, made, minutes_pass, waiting
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant

pytestmark = pytest.mark.usefixtures("everything_agrees")


def test_a_rate_lets_its_burst_begin_at_once_and_the_rest_as_tokens_come_back(
    store: JobStore, connector: Connector
) -> None:
    limited(store, "type:nap", "- 60000 120000")
    jobs = [made(store) for _ in range(7)]
    assert [isinstance(ask(store, job), Grant) for job in jobs] == [True] * 3 + [False] * 4
    record = store.get(jobs[3].id)
    assert (record.status, record.reason, record.attempts) == (Status.WAITING, "rate_limit", 0)
    store.limits.let_in()
    assert waiting(store)["type:nap"] == 4, "no token has come back yet"
    look = connector.client.zscore("test:offers", "type:nap")
    assert look is not None and look / 1000 <= time.time() + 60
    for passed, begun in ((1, [3]), (2, [4, 5])):
        minutes_pass(connector, passed)
        store.limits.let_in()
        store.limits.let_in()
        granted = [number for number in range(3, 7) if isinstance(ask(store, jobs[number], f"after {passed}"), Grant)]
        assert granted == begun
    assert waiting(store)["type:nap"] == 1


def test_a_rate_holds_nothing_when_jobs_end(store: JobStore, connector: Connector) -> None:
    limited(store, "type:nap", "- 60000 0")
    first, second = made(store), made(store)
    claim(store, first)
    assert ask(store, second) == OVER
    store.settle(first.id, 1, completed())
    assert store.get(second.id).status is Status.WAITING
    assert store.cancel(second.id, message="", callbacks=[]) == (True, "waiting")
    assert leftovers(connector) == set()
    assert 0 < connector.client.pttl("test:bucket:type:nap") <= 60_000
