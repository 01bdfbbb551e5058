"""Families that begin again: children are retried once their parents may be waited for."""

import json

from tests.builders import a_job, a_message, claim, completed, failed
from tests.store.test_dependencies import SKIPPED, a_child, doomed, end, family, status
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore


def test_a_cancelled_child_that_is_retried_waits_again_and_begins_once(store: JobStore, event_log: EventLog) -> None:
    [parent, other], child = family(store, 2)
    end(store, other)
    store.cancel(child.id, message="", callbacks=[])
    assert store.retry(child.id, a_message(child.id)) is None
    assert (status(store, child), store.get(child.id).reason) == (Status.WAITING, "dependencies")
    end(store, parent)
    assert status(store, child) is Status.QUEUED
    queued = [event for event in event_log.after("0-0") if event.job_id == child.id and event.status == "queued"]
    assert len(queued) == 1


def test_a_child_of_a_failed_parent_is_not_retried_before_it(store: JobStore) -> None:
    [parent], child = family(store)
    end(store, parent, failed())
    store.groups.end_child(child.id, parent.id, SKIPPED)
    assert parent.id in (store.retry(child.id, child.message) or "")
    assert store.retry(parent.id, parent.message) is None
    assert status(store, child) is Status.CANCELLED
    assert store.retry(child.id, child.message) is None
    assert status(store, child) is Status.WAITING
    end(store, parent)
    assert status(store, child) is Status.QUEUED


def remove_ended(store: JobStore) -> None:
    rules = {"ages": {":completed": -1000, ":failed": -1000, ":cancelled": -1000}, "bounds": []}
    store.sweep(json.dumps(rules).encode(), 100)


def test_a_job_that_has_begun_is_retried_without_parents_that_were_removed(store: JobStore) -> None:
    [parent], child = family(store)
    end(store, parent)
    remove_ended(store)
    end(store, child, failed())
    assert store.retry(child.id, child.message) is None
    assert (status(store, child), store.get(child.id).parents) == (Status.QUEUED, [parent.id])


def test_a_job_that_never_began_is_not_retried_without_its_parent(store: JobStore, connector: Connector) -> None:
    [parent], child = family(store)
    end(store, parent, failed())
    store.groups.end_child(child.id, parent.id, SKIPPED)
    connector.client.delete(f"test:job:{parent.id}")
    assert "has been removed" in (store.retry(child.id, child.message) or "")


def test_a_retried_job_of_a_series_that_waits_again_is_not_begun_by_the_series(store: JobStore) -> None:
    [parent], child = family(store, series="deploy:p", onParent="continue")
    older = a_job()._replace(terms=b'{"series":"deploy:p"}')
    store.create([older])
    claim(store, older)
    end(store, parent, failed())
    store.cancel(child.id, message="", callbacks=[])
    assert store.series("deploy:p") == [older.id, child.id], "the newest counts as long as older ones are active"
    store.retry(parent.id, parent.message)
    store.retry(child.id, child.message)
    assert (status(store, child), store.series("deploy:p")) == (Status.WAITING, [older.id])
    assert store.settle(older.id, 1, completed()).is_accepted
    assert store.due(10).scheduled == []


def test_children_of_a_parent_that_runs_again_before_all_were_told_wait_on(store: JobStore) -> None:
    parent = a_job()
    store.create([parent])
    children = [a_child(parent) for _ in range(150)]
    store.create(children)
    end(store, parent, failed())
    assert len(doomed_without_telling(store)) == 100
    assert store.retry(parent.id, parent.message) is None
    assert store.groups.due(1000).releasing == 0
    assert len(doomed(store)) == 100
    end(store, parent)
    assert [status(store, child) for child in children[100:]] == [Status.QUEUED] * 50


def doomed_without_telling(store: JobStore) -> list[bytes]:
    found = store._connector.client.zrange("test:doomed", 0, -1)
    assert isinstance(found, list)
    return [word for word in found if isinstance(word, bytes)]
