"""Turns: jobs of one API key do not delay those of another, in queues of any length."""

import json
from datetime import timedelta

import pytest

from tests.builders import a_claimant, a_job, a_message, claim, completed, failed, given_back, kinds_of_keys, pop
from workplatform.states import Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant, NewJob

pytestmark = pytest.mark.usefixtures("everything_agrees")

WINDOW = 4
NO_PATIENCE = timedelta(0)


def of(by: str, *, priority: int = 2, **terms: object) -> NewJob:
    return a_job(priority=priority)._replace(terms=json.dumps({"by": by, **terms}).encode())


def submitted(store: JobStore, by: str, number: int = 1, **more: int) -> list[NewJob]:
    jobs = [of(by, **more) for _ in range(number)]
    for start in range(0, number, 500):
        store.create(jobs[start : start + 500])
    return jobs


def begun(store: JobStore, number: int, *, word: str = "w") -> list[str]:
    """Take jobs as workers do: pop a message, claim its job; messages of jobs that cannot be claimed are dropped."""
    ids: list[str] = []
    while len(ids) < number and (job_id := pop(store)):
        answer = store.claim(job_id, a_claimant(), claim=f"{word} {job_id}", message=a_message(job_id))
        if isinstance(answer, Grant):
            ids.append(answer.id)
    return ids


def ids(jobs: list[NewJob]) -> list[str]:
    return [job.id for job in jobs]


def left_behind(connector: Connector) -> set[str]:
    return kinds_of_keys(connector) & {"standing", "backlog", "behind", "queued", "refills"}


@pytest.mark.parametrize("many", [1, WINDOW, 1000])
def test_one_job_of_a_key_waits_for_a_few_of_another_keys_many(store: JobStore, many: int) -> None:
    submitted(store, "many", many)
    [single] = submitted(store, "single")
    assert single.id in begun(store, WINDOW + 1)


def test_keys_share_what_is_begun_and_none_is_lost_or_begun_twice(store: JobStore, connector: Connector) -> None:
    jobs = {by: submitted(store, by, number) for by, number in (("a", 100), ("b", 30), ("c", 60))}
    first = begun(store, 45)
    for of_key in jobs.values():
        assert 11 <= len(set(first) & set(ids(of_key))) <= 19
    everything = first + begun(store, 1000)
    assert sorted(everything) == sorted(ids([job for of_key in jobs.values() for job in of_key]))
    assert left_behind(connector) == set()


def test_the_jobs_of_a_key_begin_in_their_order(store: JobStore) -> None:
    first, other, second = submitted(store, "a", 20), submitted(store, "b", 20), submitted(store, "a", 20)
    order = begun(store, 1000)
    assert [job_id for job_id in order if job_id in ids(first + second)] == ids(first + second)
    assert [job_id for job_id in order if job_id in ids(other)] == ids(other)


def test_keys_take_turns_within_one_submission_of_many_requests(store: JobStore) -> None:
    jobs = [of("a" if number % 10 else "b") for number in range(100)]
    store.create(jobs)
    order = begun(store, 1000)
    assert sorted(order) == sorted(ids(jobs))
    of_b = ids([job for job in jobs if b'"b"' in job.terms])
    assert [order.index(job_id) < 25 for job_id in of_b] == [True] * 10


def test_priority_stays_above_fairness(store: JobStore) -> None:
    urgent = submitted(store, "many", 50, priority=1)
    [single] = submitted(store, "single", priority=2)
    assert begun(store, 51) == [*ids(urgent), single.id]


def test_a_lane_of_one_key_again_costs_what_it_did(store: JobStore, connector: Connector) -> None:
    submitted(store, "a", 10)
    submitted(store, "b", 10)
    begun(store, 1000)
    submitted(store, "b", 10)
    assert connector.client.llen("test:nap\x06\x162") == 10, "no backlog"
    assert len(begun(store, 100)) == 10


def test_a_job_without_a_key_is_of_the_default_one(store: JobStore) -> None:
    store.create([a_job() for _ in range(100)])
    [other] = submitted(store, "shop")
    submitted(store, "default", 5)
    assert other.id in begun(store, WINDOW + 1)
    assert len(begun(store, 1000)) == 101


def test_a_cancelled_job_gives_its_place_to_the_next_of_its_key(store: JobStore) -> None:
    jobs, [other] = submitted(store, "a", 20), submitted(store, "b")
    for job in jobs[2:18]:
        store.cancel(job.id, message="", callbacks=[])
    assert begun(store, 1000) == ids([*jobs[:2], other, *jobs[18:]])


def test_many_cancelled_jobs_of_a_backlog_are_passed_in_bounded_steps(store: JobStore, connector: Connector) -> None:
    jobs, _ = submitted(store, "a", 400), submitted(store, "b")
    for job in jobs[WINDOW:-1]:
        store.cancel(job.id, message="", callbacks=[])
    early = begun(store, 1000)
    assert jobs[-1].id not in early
    for _ in range(20):
        store.limits.let_in()
    assert begun(store, 1000) == [jobs[-1].id]
    assert left_behind(connector) == set()


def test_lost_messages_are_found_whether_they_were_lost_before_or_after_the_second_key_came(store: JobStore) -> None:
    jobs = submitted(store, "a", 20)
    lost = [pop(store), pop(store)]
    [other] = submitted(store, "b")
    lost += [pop(store)]
    store.lost("nap", 2, patience=NO_PATIENCE, most=100)
    found = store.lost("nap", 2, patience=NO_PATIENCE, most=100)
    assert sorted(found) == sorted(str(job_id) for job_id in lost)
    for job_id in found:
        assert store.repush(job_id, a_message(job_id))
    assert sorted(begun(store, 1000)) == sorted(ids([*jobs, other]))
    assert store.lost("nap", 2, patience=NO_PATIENCE, most=100) == []


def test_nothing_that_stands_in_line_looks_lost(store: JobStore) -> None:
    for by in ("a", "b", "c", "a", "b"):
        submitted(store, by, 7)
        begun(store, 3, word=by)
    for _ in range(3):
        assert store.lost("nap", 2, patience=NO_PATIENCE, most=100) == []
        begun(store, 4)


def test_a_job_that_comes_back_is_first_in_line_and_takes_its_turn_again(store: JobStore) -> None:
    jobs = submitted(store, "a", 20)
    submitted(store, "b", 20)
    [first] = begun(store, 1)
    assert first == jobs[0].id
    assert store.settle(first, 1, given_back(first)).is_accepted
    assert begun(store, 1, word="again") == [first]
    assert len(begun(store, 1000)) == 39


def test_a_retried_job_takes_its_turn(store: JobStore) -> None:
    [first] = submitted(store, "a")
    claim(store, first)
    store.settle(first.id, 1, failed())
    submitted(store, "b", 100)
    assert store.retry(first.id, a_message(first.id)) is None
    assert first.id in begun(store, WINDOW + 1)


def test_a_worker_that_takes_the_next_job_by_itself_keeps_the_turns(store: JobStore) -> None:
    submitted(store, "a", 50)
    others = submitted(store, "b", 2)
    [running] = begun(store, 1)
    taken = []
    for number in range(10):
        settled = store.settle(running, 1, completed(), then=a_claimant(), claim=f"next {number}")
        assert settled.next_grant is not None
        running = settled.next_grant.id
        taken.append(running)
    assert set(ids(others)) < set(taken)


def test_all_that_is_queued_is_listed_and_counted(store: JobStore) -> None:
    jobs, others = submitted(store, "a", 30), submitted(store, "b", 30)
    assert sorted(store.queues.queued("nap", most=1000)) == sorted(ids([*jobs, *others]))
    assert len(store.queues.queued("nap", most=17)) == 17
    assert store.page().counts == {("nap", Status.QUEUED): 60}
