"""The check of the store: what is kept of limits, turns and tags agrees with the jobs, or is told and mended."""

import json

import pytest

from tests.builders import a_claimant, a_job, a_message, claim, completed, failed, kinds_of_keys
from tests.store.checking import differences, survey
from tests.store.test_turns import begun, submitted
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Refusal


def run(connector: Connector, command: str) -> None:
    connector.client.execute_command(*command.split())


def told(connector: Connector) -> list[tuple[str, str]]:
    return [(found.kind, found.sentence) for found in differences(connector) if found.kind != "message"]


def mended(connector: Connector) -> bool:
    """Mend what can be; whether nothing is left."""
    check = survey(connector)
    for found in check.differences():
        check.mend(found)
    return told(connector) == []


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [
        ("HSET test:standing:nap:2 a 9", "score", "test:standing:nap:2 counts 9 jobs of API key a, and 4 stand"),
        ("HDEL test:standing:nap:2 a", "score", "test:standing:nap:2 counts 0 jobs of API key a, and 4 stand"),
        ("DEL test:standing:nap:2", "score", "test:standing:nap:2 counts 0 jobs of API key b, and 1 stand"),
    ],
)
def test_turns_that_are_counted_wrong_are_told_and_counted_anew(
    store: JobStore, connector: Connector, command: str, kind: str, sentence: str
) -> None:
    jobs = [*submitted(store, "a", 20), *submitted(store, "b")]
    assert told(connector) == []
    run(connector, command)
    assert (kind, sentence) in told(connector)
    assert mended(connector)
    assert sorted(begun(store, 100)) == sorted(job.id for job in jobs)
    assert kinds_of_keys(connector) & {"standing", "behind", "backlog"} == set()


def test_a_backlog_that_nobody_goes_on_with_is_told_and_gone_on_with(store: JobStore, connector: Connector) -> None:
    jobs = [*submitted(store, "a", 20), *submitted(store, "b")]
    for job in jobs[:4]:  # as if they had been forgotten, without the next ones coming
        connector.client.delete(f"test:job:{job.id}")
        for key in ("queued:nap:2", "index:nap:queued"):
            connector.client.zrem(f"test:{key}", job.id)
    connector.client.hset("test:standing:nap:2", "a", 0)
    assert ("missing", "nothing goes on with test:behind:nap:2:a") in told(connector)
    check = survey(connector)
    assert any(check.mend(found) for found in check.differences())
    assert sorted(begun(store, 100)) == sorted(job.id for job in jobs[4:])


def parked(store: JobStore) -> tuple[NewJob, NewJob]:
    store.limits.put("type:nap", {"rule": "1 - -"})
    running, waiting = a_job(), a_job()
    store.create([running, waiting])
    claim(store, running)
    assert store.claim(waiting.id, a_claimant(), claim="w", message=waiting.message) == Refusal("limit")
    return running, waiting


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [
        ("DEL test:offers", "missing", "jobs wait in test:parked:type:nap and nothing will let them in"),
        ("ZADD test:offers 5000000000000 key:x", "stray", "test:offers lists key:x, for which no job waits"),
        ("HSET test:rounds:key:x 2 1", "stray", "test:rounds:key:x notes turns, and no job waits"),
    ],
)
def test_what_is_wrong_with_those_who_wait_is_told_and_mended(
    store: JobStore, connector: Connector, command: str, kind: str, sentence: str
) -> None:
    parked(store)
    assert told(connector) == []
    run(connector, command)
    assert told(connector) == [(kind, sentence)]
    check = survey(connector)
    assert [check.mend(found) for found in check.differences() if found.kind == kind] == [True]
    store.limits.let_in()
    assert told(connector) == []


def test_jobs_that_nobody_would_let_in_begin_after_the_mend(store: JobStore, connector: Connector) -> None:
    running, waiting = parked(store)
    connector.client.delete("test:offers")
    connector.client.delete("test:holding:type:nap")
    assert mended(connector)
    store.limits.let_in()
    store.settle(running.id, 1, completed())
    claim(store, waiting, word="later")


def test_a_rule_that_is_not_what_was_set_is_told(store: JobStore, connector: Connector) -> None:
    store.limits.configure({"type:nap": {"rule": "3 - -"}, "key:shop": {"rule": "2 - -"}})
    store.limits.put("type:nap", {"rule": "- - -"})
    assert told(connector) == []
    run(connector, "HDEL test:rules key:shop")
    connector.client.hset("test:rules", "type:nap", "7 - -")
    assert told(connector) == [
        ("limit", "test:rules has - - - for key:shop, and what is set is 2 - -"),
        ("limit", "test:rules has 7 - - for type:nap, and what is set is - - -"),
    ]


@pytest.mark.parametrize(
    ("command", "kind", "sentence"),
    [
        ("ZREM test:tagged:red {job}", "missing", "and test:tagged:red has it at None"),
        ("ZINCRBY test:tagged:red -5000 {job}", "score", "and test:tagged:red has it at "),
        ("ZADD test:tagged:blue 1 {job}", "stray", "test:tagged:blue lists job {job}, which is failed or has no such"),
        ("ZADD test:tagged:red 1 {other}", "stray", "test:tagged:red lists job {other}, which is completed or has no"),
    ],
)
def test_what_is_filed_under_a_wrong_tag_is_told_and_mended(
    store: JobStore, connector: Connector, command: str, kind: str, sentence: str
) -> None:
    spec = json.dumps({"payload": {}, "tags": ["red"]}, separators=(",", ":")).encode()
    job, other = (a_job()._replace(spec=spec) for _ in range(2))
    store.create([job, other])
    for made, ending in ((job, failed()), (other, completed())):
        claim(store, made, word=made.id)
        store.settle(made.id, 1, ending)
    assert told(connector) == []
    ids = {"job": job.id, "other": other.id}
    run(connector, command.format(**ids))
    [(found, said)] = told(connector)
    assert (found, sentence.format(**ids) in said) == (kind, True), said
    assert mended(connector)
    assert store.retry(job.id, a_message(job.id)) is None
    assert told(connector) == []
