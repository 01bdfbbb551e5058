"""Records of other releases: those of the one before go on, those of a later one are refused."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import LEASE, a_claimant, a_job, a_message, claim, completed, pop
from tests.store.checking import places_in_doubt
from workplatform.retention import sweeping_rules
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.failures import FailureFilter, Place
from workplatform.store.jobs import JobStore
from workplatform.store.keys import SCHEMA_VERSION
from workplatform.store.records import Beat, NewerRecordError, Refusal

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "records_1.json").read_text("utf-8"))


@pytest.fixture
def former(connector: Connector) -> Iterator[dict[str, str]]:
    """A store as the release before has left it, read from a file that was made with it; ids by status."""
    client = connector.client
    for key, (kind, value) in FORMER.items():
        if kind == "hash":
            client.hset(key, mapping=value)
        elif kind == "zset":
            client.zadd(key, value)
        elif kind == "list":
            client.rpush(key, *value)
        elif kind == "set":
            client.sadd(key, *value)
        else:
            client.set(key, value)
    yield {value["status"]: key.removeprefix("test:job:") for key, (kind, value) in FORMER.items() if ":job:" in key}


def finish(store: JobStore, job_id: str, fence: int) -> None:
    assert store.beat(LEASE, [Beat(job_id, fence)]) == ["ok"]
    assert store.settle(job_id, fence, completed()).is_accepted
    assert store.get(job_id).status is Status.COMPLETED


def test_there_is_a_record_without_a_version_in_every_status_there_was(former: dict[str, str]) -> None:
    assert former.keys() == {"scheduled", "queued", "running", "completed", "failed", "cancelled"}
    assert not [key for key, (_, value) in FORMER.items() if ":job:" in key and "schemaVersion" in value]


def test_records_of_the_release_before_are_read(store: JobStore, former: dict[str, str]) -> None:
    for status, job_id in former.items():
        assert store.get(job_id).status == status
    assert {record.id for record in store.page().records} == set(former.values())
    done = store.get(former["completed"])
    assert (done.progress, done.result["success"], done.attempts) == (100, True, 1)
    assert store.get(former["failed"]).error == {"code": "bad_input", "message": "no", "retryable": False}


def test_jobs_of_the_release_before_go_on(store: JobStore, former: dict[str, str]) -> None:
    queued = a_job()._replace(id=former["queued"], message=a_message(former["queued"]))
    finish(store, queued.id, claim(store, queued).fence)
    finish(store, former["running"], store.get(former["running"]).fence)
    failed = a_job()._replace(id=former["failed"], message=a_message(former["failed"]))
    assert store.retry(failed.id, failed.message) is None
    finish(store, failed.id, claim(store, failed, word="again").fence)
    done, before = store.cancel(former["scheduled"], message="", callbacks=[])
    assert (done, before) == (True, "scheduled")


def test_what_the_release_before_has_finished_is_found_and_swept(
    store: JobStore, connector: Connector, former: dict[str, str]
) -> None:
    rules = sweeping_rules(timedelta(days=3650), {}, ["nap"])
    assert store.sweep(rules, 100) == 3
    page = store.failures.page(FailureFilter(code="bad_input"), limit=10, below=Place())
    assert [record.id for record in page.records] == [former["failed"]]
    assert places_in_doubt(connector) == []
    assert store.sweep(sweeping_rules(timedelta(0), {}, ["nap"]), 100) == 3
    assert {record.status.value for record in store.page().records} == {"scheduled", "queued", "running"}


def test_a_queue_that_the_release_before_has_paused_stays_so_until_it_is_resumed(
    store: JobStore, connector: Connector, former: dict[str, str]
) -> None:
    connector.client.sadd("test:paused", "nap")
    store.sweep(sweeping_rules(timedelta(days=3650), {}, ["nap"]), 100)
    refused = store.claim(former["queued"], a_claimant(), claim="a", message=a_message(former["queued"]))
    assert refused == Refusal("paused")
    store.queues.pause("nap", is_paused=False)
    store.sweep(sweeping_rules(timedelta(days=3650), {}, ["nap"]), 100)
    assert store.queues.states().paused == frozenset()


def test_new_records_say_their_version(store: JobStore, connector: Connector) -> None:
    for job in (a_job(), a_job(delay_ms=1000)):
        store.create([job])
        assert connector.client.hget(f"test:job:{job.id}", "schemaVersion") == str(SCHEMA_VERSION).encode()


def test_a_record_of_a_later_release_is_refused_and_left_as_it_is(store: JobStore, connector: Connector) -> None:
    job = a_job()
    store.create([job])
    connector.client.hset(f"test:job:{job.id}", "schemaVersion", SCHEMA_VERSION + 1)
    before = connector.client.hgetall(f"test:job:{job.id}")
    with pytest.raises(NewerRecordError, match=f"{job.id} was written by a later release.*upgrade this process"):
        store.get(job.id)
    with pytest.raises(NewerRecordError):
        store.page()
    assert store.claim(job.id, a_claimant(), claim="a", message=job.message) == Refusal("newer")
    assert connector.client.hgetall(f"test:job:{job.id}") == before
    assert pop(store) == job.id
    store.lost(job.queue, job.priority, patience=timedelta(0), most=10)
    assert store.lost(job.queue, job.priority, patience=timedelta(0), most=10) == [job.id]
