"""Every transition of the store, the illegal ones too, against the embedded server."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import (
    GONE,
    LEASE,
    a_claimant,
    a_job,
    a_message,
    backing_off,
    claim,
    completed,
    failed,
    given_back,
    pop,
)
from tests.waiting import eventually
from workplatform.errors import JobNotFoundError
from workplatform.retention import sweeping_rules
from workplatform.states import Status
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Due, NewJob, Refusal

NOW = timedelta(0)


def created(store: JobStore, *jobs: NewJob) -> NewJob:
    store.create(jobs)
    return jobs[0]


def counts(store: JobStore) -> dict[Status, int]:
    return {status: number for (_, status), number in store.page().counts.items()}


def events_of(log: EventLog, job: NewJob) -> list[str]:
    return [event.event for event in log.after("0-0") if event.job_id == job.id]


def test_a_new_job_is_queued_and_has_its_message(store: JobStore, event_log: EventLog) -> None:
    job = created(store, a_job())
    assert store.get(job.id).status is Status.QUEUED
    assert pop(store) == job.id
    assert events_of(event_log, job) == ["job:queued"]


def test_a_delayed_job_is_scheduled_and_has_no_message(store: JobStore) -> None:
    job = created(store, a_job(delay_ms=60_000))
    record = store.get(job.id)
    assert (record.status, record.reason) == (Status.SCHEDULED, "delay")
    assert pop(store) is None
    assert not store.promote(job.id, job.message)


def test_an_unknown_job_is_an_error_everywhere(store: JobStore) -> None:
    for call in (
        lambda: store.get("job_x"),
        lambda: store.cancel("job_x", message="", callbacks=[]),
        lambda: store.retry("job_x", b"{}"),
    ):
        with pytest.raises(JobNotFoundError):
            call()
    assert store.claim("job_x", a_claimant(), claim="a", message=b"") == Refusal("unknown")
    assert not store.settle("job_x", 1, completed()).is_accepted
    assert not store.promote("job_x", b"{}")
    assert not store.repush("job_x", b"{}")


def test_messages_are_first_in_first_out_within_a_priority_and_lower_numbers_come_first(store: JobStore) -> None:
    jobs = [a_job(priority=priority) for priority in (4, 2, 2, 0, 3, 1, 0)]
    store.create(jobs)
    expected = [job.id for job in sorted(jobs, key=lambda job: job.priority)]
    assert [pop(store) for _ in jobs] == expected


def test_a_claim_gives_an_attempt_with_a_rising_fence(store: JobStore) -> None:
    job = created(store, a_job())
    first = claim(store, job)
    assert (first.fence, first.attempts, first.retries) == (1, 1, 0)
    assert store.settle(job.id, 1, given_back(job.id)).is_accepted
    second = claim(store, job, word="other")
    assert (second.fence, second.attempts) == (2, 1), "giving a job back costs no attempt, yet a fence"


def test_the_same_claim_asked_twice_gets_the_same_grant(store: JobStore) -> None:
    job = created(store, a_job())
    first = claim(store, job, word="once")
    again = claim(store, job, word="once")
    assert (again.fence, again.attempts) == (first.fence, first.attempts)
    assert store.claim(job.id, a_claimant(), claim="other", message=b"") == Refusal("running")


@pytest.mark.parametrize("ending", [completed, failed])
def test_a_final_job_is_never_claimed_or_settled_again(store: JobStore, ending: type) -> None:
    job = created(store, a_job())
    claim(store, job)
    assert store.settle(job.id, 1, ending()).is_accepted
    status = store.get(job.id).status
    assert store.claim(job.id, a_claimant(), claim="late", message=b"") == Refusal(status)
    assert not store.settle(job.id, 1, completed()).is_accepted
    assert store.get(job.id).status is status


def test_an_old_fence_cannot_settle_or_renew(store: JobStore) -> None:
    job = created(store, a_job())
    claim(store, job, a_claimant(lease=GONE))
    eventually(lambda: store.due(10).lapsed == [job.id])
    assert store.reap(job.id, 1, given_back(job.id))
    claim(store, job, word="successor")
    assert store.beat(LEASE, [Beat(job.id, 1)]) == ["lost"]
    assert not store.settle(job.id, 1, completed()).is_accepted
    assert store.get(job.id).status is Status.RUNNING


def test_a_lease_that_is_renewed_in_time_is_not_taken_away(store: JobStore) -> None:
    job = created(store, a_job())
    claim(store, job, a_claimant(lease=GONE))
    eventually(lambda: store.due(10).lapsed == [job.id])
    assert store.beat(LEASE, [Beat(job.id, 1)]) == ["ok"]
    assert not store.reap(job.id, 1, given_back(job.id))
    assert store.due(10) == Due([], [], [])


def test_a_beat_carries_progress_and_log_lines_out(store: JobStore, event_log: EventLog) -> None:
    job = created(store, a_job())
    claim(store, job)
    assert store.beat(LEASE, [Beat(job.id, 1, True, 42.5, "working", "half", ["one", "two"])]) == ["ok"]
    record = store.get(job.id)
    assert (record.progress, record.stage, record.message) == (42.5, "working", "half")
    assert [line.text for line in store.logs(job.id)] == ["one", "two"]
    assert [line.text for line in store.logs(job.id, after=store.logs(job.id)[0].id)] == ["two"]
    assert events_of(event_log, job)[2:] == ["job:progress", "job:log"]


def test_the_last_stage_is_told_of_an_attempt_that_no_beat_has_told_of(store: JobStore, event_log: EventLog) -> None:
    job = created(store, a_job())
    claim(store, job)
    store.settle(job.id, 1, replace(completed(), stage="converting"))
    assert store.get(job.id).stage == "converting"
    assert event_log.after("0-0")[-1].fields["stage"] == "converting"


def test_a_failed_attempt_backs_off_and_is_promoted_when_due(store: JobStore) -> None:
    job = created(store, a_job())
    claim(store, job)
    assert pop(store) == job.id
    assert store.settle(job.id, 1, backing_off()).is_accepted
    record = store.get(job.id)
    assert (record.status, record.reason, record.retries) == (Status.SCHEDULED, "backoff", 1)
    assert record.error is not None and record.error["message"] == "no"
    eventually(lambda: store.due(10).scheduled == [job.id])
    assert store.promote(job.id, job.message)
    assert not store.promote(job.id, job.message), "a second scheduler finds nothing to do"
    assert pop(store) == job.id
    assert claim(store, job, word="again").attempts == 2


def test_cancelling_works_in_every_state_that_is_not_final(store: JobStore) -> None:
    queued, scheduled, running = a_job(), a_job(delay_ms=60_000), a_job()
    store.create([queued, scheduled, running])
    claim(store, running)
    for job, before in ((queued, "queued"), (scheduled, "scheduled"), (running, "running")):
        assert store.cancel(job.id, message="stop", callbacks=[]) == (True, before)
        assert store.cancel(job.id, message="stop", callbacks=[]) == (False, "cancelled")
    assert counts(store) == {Status.CANCELLED: 3}
    assert store.beat(LEASE, [Beat(running.id, 1)]) == ["cancelled"]
    assert not store.settle(running.id, 1, completed()).is_accepted
    assert store.claim(queued.id, a_claimant(), claim="a", message=b"") == Refusal("cancelled")


def test_only_failed_and_cancelled_jobs_can_be_retried(store: JobStore) -> None:
    job = created(store, a_job())
    assert "this one is queued" in (store.retry(job.id, job.message) or "")
    claim(store, job)
    assert "this one is running" in (store.retry(job.id, job.message) or "")
    store.settle(job.id, 1, failed())
    assert store.retry(job.id, job.message) is None
    record = store.get(job.id)
    assert (record.status, record.attempts, record.retries, record.error) == (Status.QUEUED, 0, 0, None)
    claim(store, job, word="again")
    store.settle(job.id, 2, completed())
    assert "this one is completed" in (store.retry(job.id, job.message) or "")


def test_an_ending_and_its_callback_are_one_step(store: JobStore) -> None:
    job, callback = created(store, a_job()), a_job(job_type="http", queue="http")
    claim(store, job)
    assert not store.settle(job.id, 99, completed(callbacks=[callback])).is_accepted
    with pytest.raises(JobNotFoundError):
        store.get(callback.id)
    assert store.settle(job.id, 1, completed(callbacks=[callback])).is_accepted
    assert store.get(callback.id).status is Status.QUEUED
    assert pop(store, "http") == callback.id


def test_a_node_runs_no_more_jobs_than_it_has_slots(store: JobStore) -> None:
    jobs = [a_job() for _ in range(3)]
    store.create(jobs)
    node = a_claimant(slots=2)
    claim(store, jobs[0], node)
    claim(store, jobs[1], node)
    assert [pop(store) for _ in range(3)][2] == jobs[2].id
    answer = store.claim(jobs[2].id, node, claim="c", message=jobs[2].message)
    assert isinstance(answer, Refusal) and answer.is_of_queue
    assert store.get(jobs[2].id).reason == "slot"
    assert pop(store) == jobs[2].id, "the message is back in its list"
    claim(store, jobs[2], a_claimant(node="other", slots=2), word="elsewhere")


def test_a_queue_that_was_refused_a_slot_gets_the_next_one(store: JobStore) -> None:
    busy, waiting, next_busy = a_job(), a_job(queue="webp", job_type="webp"), a_job()
    store.create([busy, waiting, next_busy])
    node = a_claimant(slots=1)
    claim(store, busy, node)
    pop(store, "webp")
    assert isinstance(store.claim(waiting.id, node, claim="w", message=waiting.message), Refusal)
    assert not store.has_room("n1", "webp", 1)
    store.settle(busy.id, 1, completed())
    assert store.has_room("n1", "webp", 1)
    assert isinstance(store.claim(next_busy.id, node, claim="n", message=next_busy.message), Refusal)
    claim(store, waiting, node, word="now")


def test_a_slot_is_free_again_however_its_job_ends(store: JobStore) -> None:
    node = a_claimant(slots=1)
    for end in ("settle", "cancel", "give back"):
        job = created(store, a_job(job_type=end.replace(" ", "-")))
        claim(store, job, node, word=end)
        if end == "settle":
            store.settle(job.id, 1, completed())
        elif end == "cancel":
            store.cancel(job.id, message="", callbacks=[])
        else:
            store.settle(job.id, 1, given_back(job.id))
    claim(store, created(store, a_job()), node, word="last")


def test_a_queue_with_nothing_left_to_claim_does_not_hold_its_place(store: JobStore) -> None:
    busy, waiting, other = a_job(), a_job(queue="webp", job_type="webp"), a_job()
    store.create([busy, waiting, other])
    node = a_claimant(slots=1)
    claim(store, busy, node)
    pop(store, "webp")
    store.claim(waiting.id, node, claim="w", message=waiting.message)
    store.cancel(waiting.id, message="", callbacks=[])
    assert pop(store, "webp") == waiting.id
    assert store.has_room("n1", "webp", 1)
    store.settle(busy.id, 1, completed())
    claim(store, other, node, word="o")


def test_a_queued_job_whose_message_is_gone_is_found_and_pushed_to_the_front(store: JobStore) -> None:
    jobs = [a_job() for _ in range(4)]
    store.create(jobs)
    assert [pop(store), pop(store)] == [jobs[0].id, jobs[1].id]
    store.lost("nap", 2, patience=NOW, most=10)
    lost = store.lost("nap", 2, patience=NOW, most=10)
    assert lost == [jobs[1].id, jobs[0].id]
    for job_id in lost:
        assert store.repush(job_id, a_message(job_id))
    assert [pop(store) for _ in jobs] == [job.id for job in jobs]


def test_the_last_message_of_a_list_is_missed_too(store: JobStore) -> None:
    job = created(store, a_job())
    assert store.lost("nap", 2, patience=NOW, most=10) == []
    pop(store)
    store.lost("nap", 2, patience=NOW, most=10)
    assert store.lost("nap", 2, patience=NOW, most=10) == [job.id]
    claim(store, job)
    assert store.lost("nap", 2, patience=NOW, most=10) == []
    assert not store.repush(job.id, job.message)


def test_a_job_that_is_only_just_missing_is_left_alone(store: JobStore) -> None:
    created(store, a_job())
    pop(store)
    for _ in range(2):
        assert store.lost("nap", 2, patience=timedelta(seconds=60), most=10) == []


def test_listing_filters_pages_and_counts(store: JobStore) -> None:
    jobs = [a_job(job_type="webp" if number % 2 else "hls") for number in range(7)]
    store.create(jobs)
    claim(store, jobs[0])
    newest_first = [job.id for job in reversed(jobs)]
    page = store.page(limit=3)
    assert ([record.id for record in page.records], page.has_more) == (newest_first[:3], True)
    page = store.page(limit=10, below=page.records[-1].id)
    assert ([record.id for record in page.records], page.has_more) == (newest_first[3:], False)
    assert [record.id for record in store.page(job_type="hls", status="running").records] == [jobs[0].id]
    assert page.counts[("webp", Status.QUEUED)] == 3
    assert page.counts[("hls", Status.RUNNING)] == 1


def test_sweeping_removes_old_final_jobs_and_every_trace_of_them(store: JobStore) -> None:
    done, active = a_job(), a_job()
    store.create([done, active])
    claim(store, done)
    store.beat(LEASE, [Beat(done.id, 1, lines=["a line"])])
    store.settle(done.id, 1, completed())
    assert store.sweep(sweeping_rules(timedelta(hours=1), {}, ["nap"]), 10) == 0
    assert store.sweep(sweeping_rules(NOW, {}, ["nap"]), 10) == 1
    with pytest.raises(JobNotFoundError):
        store.get(done.id)
    assert store.logs(done.id) == []
    assert counts(store) == {Status.QUEUED: 1}
