"""Groups: flows and batches count their jobs, end once, and are cancelled and retried as one."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import a_claimant, a_job, a_message, backing_off, claim, completed, failed
from workplatform.bonds import GroupNotFoundError
from workplatform.groups import grouped
from workplatform.states import Event, Status
from workplatform.store.connection import Connector
from workplatform.store.groups import FlowMade
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement

HOUR = timedelta(hours=1)
HOOK = {"callback": "https://example.com/hook"}


def a_batch(store: JobStore, size: int = 3, *, name: str = "batch:b", **spec: Any) -> list[NewJob]:
    jobs = grouped([a_job() for _ in range(size)], name, spec)
    store.create(jobs)
    return jobs


def flow_jobs(name: str, *parents: Sequence[int], spec: dict[str, Any] | None = None, **terms: Any) -> list[NewJob]:
    """Make the jobs of a flow: for each the numbers of those that it depends on."""
    jobs = [a_job() for _ in parents]
    bound = [
        job._replace(terms=json.dumps({"dependsOn": [jobs[at].id for at in older], **terms}).encode()) if older else job
        for job, older in zip(jobs, parents, strict=True)
    ]
    return grouped(bound, f"flow:{name}", {"steps": {}, **(spec or {})})


def a_flow(store: JobStore, *parents: Sequence[int], name: str = "f", **more: Any) -> list[NewJob]:
    jobs = flow_jobs(name, *parents, **more)
    assert store.groups.create_flow(name, jobs, remembered=HOUR) == FlowMade(name)
    return jobs


def end(store: JobStore, job: NewJob, ending: Settlement | None = None) -> None:
    grant = claim(store, job, word=f"{job.id}-{store.get(job.id).fence}")
    assert store.settle(job.id, grant.fence, ending or completed()).is_accepted


def statuses(store: JobStore, jobs: Sequence[NewJob]) -> list[str]:
    return [store.get(job.id).status.value for job in jobs]


def counts(store: JobStore, name: str = "batch:b") -> dict[str, int]:
    return {status.value: number for status, number in store.groups.get(name).counts.items() if number}


def endings(store: JobStore) -> list[str]:
    return store.groups.due(100).endings


def retry(store: JobStore, jobs: Sequence[NewJob], name: str = "flow:f") -> tuple[str, ...]:
    return store.groups.retry_flow(name, [(job.id, a_message(job.id)) for job in jobs])


def work_off(store: JobStore, name: str, *, most: int = 2) -> list[str]:
    """Do a group's work as its service does; returns the jobs in the order in which they came."""
    done: list[str] = []
    while (work := store.groups.next_work(name, most=most)) is not None:
        if work.work == "cancel":
            for job_id in work.job_ids:
                store.cancel(job_id, message="", callbacks=[])
        else:
            store.groups.retry_members(name, [(job_id, a_message(job_id)) for job_id in work.job_ids])
        done += work.job_ids
        store.groups.next_work(name, most=1, done=work.last or None)
    return done


def test_counts_follow_every_transition(store: JobStore) -> None:
    first, second, third = a_batch(store)
    assert counts(store) == {"queued": 3}
    claim(store, first)
    assert counts(store) == {"queued": 2, "running": 1}
    store.settle(first.id, 1, backing_off(delay_ms=1))
    assert counts(store) == {"queued": 2, "scheduled": 1}
    store.cancel(second.id, message="", callbacks=[])
    end(store, third)
    assert counts(store) == {"scheduled": 1, "cancelled": 1, "completed": 1}
    while not store.promote(first.id, first.message):
        pass
    assert counts(store) == {"queued": 1, "cancelled": 1, "completed": 1}
    store.retry(second.id, second.message)
    assert counts(store) == {"queued": 2, "completed": 1}


def test_jobs_that_wait_for_their_series_or_parents_are_counted(store: JobStore) -> None:
    jobs = [job._replace(terms=b'{"series":"s"}') for job in (a_job(), a_job())]
    jobs.append(a_job()._replace(terms=json.dumps({"dependsOn": [jobs[1].id]}).encode()))
    first, second, third = grouped(jobs, "batch:b", {})
    store.create([first])
    claim(store, first)
    store.create([second, third])
    store.claim(second.id, a_claimant(), claim="x", message=second.message)
    assert counts(store) == {"running": 1, "waiting": 2}
    end_running(store, first)
    assert store.promote(second.id, second.message)
    end(store, second)
    assert counts(store) == {"completed": 2, "queued": 1}


def end_running(store: JobStore, job: NewJob) -> None:
    assert store.settle(job.id, store.get(job.id).fence, completed()).is_accepted


def test_progress_is_of_the_whole(store: JobStore) -> None:
    first, second, *_ = a_batch(store, 4)
    end(store, first)
    claim(store, second)
    store._connector.client.hset(f"test:job:{second.id}", "progress", "50")
    assert store.groups.get("batch:b").progress == pytest.approx(37.5)


def test_unknown_groups_are_said_to_be_unknown(store: JobStore) -> None:
    with pytest.raises(GroupNotFoundError, match="there is no batch nope"):
        store.groups.get("batch:nope")
    assert (store.groups.begin("batch:nope", "cancel"), retry(store, [])) == ("unknown", ("unknown",))


def test_cancelling_ends_the_waiting_first_so_that_none_fails_with_its_parent(store: JobStore) -> None:
    jobs = a_flow(store, [], [0], [1], [])
    claim(store, jobs[0])
    end(store, jobs[3])
    assert store.groups.begin("flow:f", "cancel") == "ok"
    assert work_off(store, "flow:f", most=10) == [jobs[2].id, jobs[1].id, jobs[0].id]
    assert statuses(store, jobs) == ["cancelled", "cancelled", "cancelled", "completed"]
    due = store.groups.due(10)
    assert (due.doomed, due.work, store.groups.begin("flow:f", "cancel")) == ([], [], "over")


def test_a_flow_is_created_whole_or_not_at_all(store: JobStore, connector: Connector) -> None:
    held = a_job()._replace(terms=b'{"unique":"u"}')
    store.create([held])
    jobs = flow_jobs("f", [], [0])
    jobs[1] = jobs[1].with_terms(unique="u")
    made = store.groups.create_flow("f", jobs, remembered=HOUR)
    assert (made.held, made.by) == (jobs[1].id, held.id)
    assert not connector.client.exists(f"test:job:{jobs[0].id}", "test:group:flow:f", "test:flows")


def test_a_repeated_request_gets_the_flow_of_the_first(store: JobStore) -> None:
    words: dict[str, Any] = {"key": "k", "remembered": HOUR}
    assert store.groups.create_flow("f", flow_jobs("f", []), fingerprint="1", **words) == FlowMade("f", "1")
    again = store.groups.create_flow("g", flow_jobs("g", []), fingerprint="2", **words)
    assert again == FlowMade("f", "1", is_replay=True)
    assert [group.id for group in store.groups.flows(limit=10)[0]] == ["f"]


def test_flows_are_listed_newest_first_in_pages(store: JobStore) -> None:
    for name in ("flow_a", "flow_b", "flow_c"):
        a_flow(store, [], name=name)
    page, has_more = store.groups.flows(limit=2)
    assert ([group.id for group in page], has_more) == (["flow_c", "flow_b"], True)
    page, has_more = store.groups.flows(limit=2, below="flow_b")
    assert ([group.id for group in page], has_more) == (["flow_a"], False)


def fail_second_of_three(store: JobStore, **more: Any) -> list[NewJob]:
    jobs = a_flow(store, [], [0], [1], **more)
    end(store, jobs[0], completed(result=b'{"path":"a"}'))
    end(store, jobs[1], failed())
    return jobs


def test_retrying_a_flow_begins_at_the_step_that_failed(store: JobStore) -> None:
    jobs = fail_second_of_three(store)
    ending = Settlement(Status.CANCELLED, Event.CANCELLED, "nothing", message="skipped")
    assert store.groups.end_child(jobs[2].id, jobs[1].id, ending)
    assert retry(store, jobs) == ("ok", "2")
    assert statuses(store, jobs) == ["completed", "queued", "waiting"]
    assert store.get(jobs[0].id).result == {"path": "a"}
    end(store, jobs[1])
    assert statuses(store, jobs) == ["completed", "completed", "queued"]
    assert retry(store, jobs) == ("nothing",)


def test_a_step_that_was_doomed_but_not_ended_yet_waits_again(store: JobStore) -> None:
    jobs = fail_second_of_three(store)
    assert store.groups.due(10).doomed == [jobs[2].id]
    assert retry(store, jobs) == ("ok", "1")
    late = Settlement(Status.FAILED, Event.FAILED, "nothing", "no", error=b"{}")
    assert not store.groups.end_child(jobs[2].id, jobs[1].id, late)
    assert (store.groups.due(10).doomed, store.get(jobs[2].id).doom) == ([], None)
    end(store, jobs[1])
    assert statuses(store, jobs) == ["completed", "completed", "queued"]


def test_steps_that_still_run_are_not_disturbed_by_a_retry(store: JobStore) -> None:
    jobs = a_flow(store, [], [], [0, 1])
    claim(store, jobs[0])
    end(store, jobs[1], failed())
    assert retry(store, jobs) == ("ok", "1")
    assert statuses(store, jobs) == ["running", "queued", "waiting"]
    end_running(store, jobs[0])
    end(store, jobs[1])
    assert statuses(store, jobs) == ["completed", "completed", "queued"]


def test_a_step_that_still_waits_waits_for_what_begins_again_too(store: JobStore) -> None:
    jobs = a_flow(store, [], [], [0, 1], onParent="continue")
    end(store, jobs[1], failed())
    assert retry(store, jobs) == ("ok", "1")
    end(store, jobs[0])
    assert statuses(store, jobs) == ["completed", "queued", "waiting"]
    end(store, jobs[1])
    assert statuses(store, jobs) == ["completed", "completed", "queued"]


def test_a_flow_that_is_being_cancelled_is_not_retried(store: JobStore) -> None:
    jobs = fail_second_of_three(store)
    assert store.groups.begin("flow:f", "cancel") == "ok"
    assert retry(store, jobs) == ("busy",)
    work_off(store, "flow:f")
    assert store.groups.get("flow:f").cancelled_at is not None
    assert retry(store, jobs) == ("ok", "2")
    assert store.groups.get("flow:f").cancelled_at is None


def test_a_flow_whose_unique_key_was_taken_is_not_retried_in_part(store: JobStore) -> None:
    jobs = flow_jobs("f", [], [])
    jobs[1] = jobs[1].with_terms(unique="u")
    store.groups.create_flow("f", jobs, remembered=HOUR)
    for job in jobs:
        end(store, job, failed())
    other = a_job()._replace(terms=b'{"unique":"u"}')
    store.create([other])
    assert retry(store, jobs) == ("held", jobs[1].id, other.id)
    assert statuses(store, jobs) == ["failed", "failed"]


def swept(store: JobStore) -> int:
    rules = {"ages": {":completed": -1000, ":failed": -1000, ":cancelled": -1000}, "bounds": []}
    return store.sweep(json.dumps(rules).encode(), 100)


def test_steps_stay_until_their_flow_has_ended_and_it_goes_with_the_last(store: JobStore, connector: Connector) -> None:
    jobs = a_flow(store, [], [0])
    end(store, jobs[0])
    assert (swept(store), statuses(store, jobs)) == (0, ["completed", "queued"])
    end(store, jobs[1], failed())
    retry(store, jobs)
    assert (swept(store), statuses(store, jobs)) == (0, ["completed", "queued"])
    end(store, jobs[1])
    assert swept(store) == 2
    left = {key.decode() for key in connector.client.scan_iter("test:*")}
    assert not {key for key in left if "flow" in key or "members" in key or "job_" in key}
