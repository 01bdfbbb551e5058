"""The check of the store: silent about families and groups as they come and go, and telling of each broken bond."""

import pytest

from tests.builders import a_job, a_message, claim, failed
from tests.store.checking import differences
from tests.store.test_dependencies import a_child, end, family
from tests.store.test_groups import HOOK, a_batch, a_flow, retry, work_off
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore


def told(connector: Connector) -> list[str]:
    return [difference.sentence for difference in differences(connector) if difference.kind != "message"]


def test_families_agree_with_themselves_at_every_step(store: JobStore, connector: Connector) -> None:
    [first, second, third], child = family(store, 3, series="deploy:p", delay=60_000)
    lenient, cancelled = a_child(first, second, onParent="continue"), a_child(second, third)
    store.create([lenient, cancelled])
    store.cancel(cancelled.id, message="", callbacks=[])
    assert told(connector) == []
    end(store, first)
    assert told(connector) == []
    end(store, second, failed())
    assert (store.groups.due(10).doomed, told(connector)) == ([child.id], [])
    store.retry(second.id, a_message(second.id))
    claim(store, third)
    assert told(connector) == []
    store.cancel(child.id, message="", callbacks=[])
    store.retry(child.id, a_message(child.id))
    assert told(connector) == []


def test_parents_that_have_not_told_all_of_their_children_agree_too(store: JobStore, connector: Connector) -> None:
    parent = a_job()
    store.create([parent])
    store.create([a_child(parent) for _ in range(130)])
    end(store, parent)
    assert told(connector) == []
    store.groups.due(10)
    assert told(connector) == []


def test_groups_agree_with_themselves_at_every_step(store: JobStore, connector: Connector) -> None:
    steps, batch = a_flow(store, [], [0], [1]), a_batch(store, 3, **HOOK)
    end(store, steps[0])
    end(store, batch[0])
    assert told(connector) == []
    end(store, steps[1], failed())
    store.groups.begin("batch:b", "cancel")
    assert told(connector) == []
    work_off(store, "batch:b")
    retry(store, steps)
    assert told(connector) == []
    store.groups.begin("flow:f", "cancel")
    work_off(store, "flow:f")
    assert told(connector) == []


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("ZREM test:children:{parent} {child}", "job {child} waits for 1 jobs and is noted with 0"),
        ("HSET test:job:{child} open 2", "waits for 2 jobs and is noted with 1"),
        ("ZADD test:doomed 0 {parent}", "test:doomed lists job {parent}"),
        ("ZADD test:children:{child} 0 {parent}", "test:children:{child} lists job {parent}"),
        ("ZREM test:members:flow:f:waiting {child}", "job {child} is waiting and not in test:members:flow:f:waiting"),
        ("ZADD test:members:flow:f:completed 0 {parent}", "test:members:flow:f:completed lists job {parent}"),
        ("HSET test:group:flow:f finishedAt 1", "test:group:flow:f has ended and has open jobs"),
        ("ZADD test:flows 0 g", "test:flows lists g, which does not exist"),
        ("ZADD test:batches 1 b", "test:batches lists b, which does not exist"),
    ],
)
def test_a_broken_bond_is_told(store: JobStore, connector: Connector, command: str, sentence: str) -> None:
    parent, child = a_flow(store, [], [0])
    words = {"parent": parent.id, "child": child.id}
    connector.client.execute_command(*command.format(**words).split())
    assert any(sentence.format(**words) in difference for difference in told(connector)), told(connector)
