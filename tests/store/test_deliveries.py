"""Deliveries about a job: listed with it, with what their attempts found, made again on request."""

from datetime import timedelta

import pytest

from tests.builders import GONE, a_claimant, a_job, a_message, backing_off, claim, completed, failed, pop
from tests.waiting import eventually
from workplatform.errors import IllegalTransitionError, JobNotFoundError
from workplatform.retention import sweeping_rules
from workplatform.states import Event, Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Grant, NewJob, Refusal, Settlement


def a_delivery(about: str, *, tells: str = "completed", whilst: str = "") -> NewJob:
    """A job that tells of another one."""
    job = a_job(job_type="http", queue="http").with_terms(about=about, tells=tells)
    return job.with_terms(whilst=whilst) if whilst else job


def with_note(settlement: Settlement, found: bytes) -> Settlement:
    """The same ending, of an attempt that left word."""
    words = {name: getattr(settlement, name) for name in Settlement.__slots__} | {"found": found}
    return Settlement(**words)


def running(store: JobStore) -> Grant:
    """A job that runs."""
    job = a_job()
    store.create([job])
    return claim(store, job)


def told(store: JobStore, grant: Grant, tells: str) -> NewJob:
    """Tell of a running attempt."""
    delivery = a_delivery(grant.id, tells=tells, whilst=f"{grant.id} {grant.fence}" if tells == "progress" else "")
    assert store.deliveries.tell(grant, tells, delivery)
    return delivery


def listed(store: JobStore, job_id: str) -> list[tuple[str, str, Status]]:
    return [(each.record.id, each.event, each.record.status) for each in store.deliveries.about(job_id)]


def ended(store: JobStore) -> tuple[Grant, NewJob]:
    """A completed job and its delivery."""
    grant = running(store)
    delivery = a_delivery(grant.id)
    store.settle(grant.id, grant.fence, completed(callbacks=[delivery]))
    return grant, delivery


def test_an_ending_lists_its_deliveries_with_the_job(store: JobStore) -> None:
    grant, delivery = ended(store)
    assert listed(store, grant.id) == [(delivery.id, "completed", Status.QUEUED)]


def test_a_job_without_deliveries_has_none_and_one_that_is_not_there_is_an_error(store: JobStore) -> None:
    assert store.deliveries.about(running(store).id) == []
    with pytest.raises(JobNotFoundError):
        store.deliveries.about("job_x")


def test_a_delivery_about_what_is_no_job_leaves_no_list(store: JobStore, connector: Connector) -> None:
    store.create([a_delivery("flow:1")])
    assert not connector.client.exists("test:deliveries:flow:1")


def test_each_attempt_is_kept_with_its_beginning(store: JobStore) -> None:
    grant, delivery = ended(store)
    first = claim(store, delivery, word="a")
    store.settle(first.id, first.fence, with_note(backing_off(), b'{"statusCode":503}'))
    began = store.get(delivery.id).started_at
    store.deliveries.resend(grant.id, delivery.id, delivery.message)
    second = claim(store, delivery, word="b")
    store.settle(second.id, second.fence, with_note(completed(), b'{"statusCode":200}'))
    [found] = store.deliveries.about(grant.id)
    assert [attempt.found["statusCode"] for attempt in found.attempts] == [503, 200]
    assert found.attempts[0].at == began
    assert found.record.status is Status.COMPLETED


def test_a_settlement_told_twice_keeps_its_attempt_once(store: JobStore) -> None:
    grant, delivery = ended(store)
    attempt = claim(store, delivery)
    for _ in range(2):
        store.settle(attempt.id, attempt.fence, with_note(completed(), b'{"statusCode":200}'))
    [found] = store.deliveries.about(grant.id)
    assert len(found.attempts) == 1


def test_an_attempt_that_was_made_while_its_job_was_cancelled_is_kept(store: JobStore) -> None:
    grant, delivery = ended(store)
    attempt = claim(store, delivery)
    store.cancel(delivery.id, message="", callbacks=[])
    assert not store.settle(attempt.id, attempt.fence, with_note(completed(), b'{"statusCode":200}')).is_accepted
    [found] = store.deliveries.about(grant.id)
    assert (found.record.status, len(found.attempts)) == (Status.CANCELLED, 1)


def test_an_attempt_of_a_zombie_is_not_kept(store: JobStore) -> None:
    grant, delivery = ended(store)
    zombie = claim(store, delivery, a_claimant(lease=GONE), word="a")
    store.settle(zombie.id, zombie.fence, Settlement(Status.QUEUED, Event.QUEUED, "nothing", wakeup=b"{}"))
    claim(store, delivery, word="b")
    assert not store.settle(zombie.id, zombie.fence, with_note(completed(), b"{}")).is_accepted
    [found] = store.deliveries.about(grant.id)
    assert not found.attempts


def test_an_attempt_whose_worker_died_is_kept_when_its_lease_has_run_out_and_not_before(store: JobStore) -> None:
    grant, delivery = ended(store)
    lost = with_note(Settlement(Status.QUEUED, Event.RETRYING, "retry", wakeup=b"{}"), b'{"error":"silent"}')
    attempt = claim(store, delivery, word="a")
    assert not store.reap(attempt.id, attempt.fence, lost)
    assert not store.deliveries.about(grant.id)[0].attempts
    store.beat(GONE, [Beat(attempt.id, attempt.fence)])
    eventually(lambda: store.reap(attempt.id, attempt.fence, lost))
    assert [each.found for each in store.deliveries.about(grant.id)[0].attempts] == [{"error": "silent"}]


@pytest.mark.parametrize("ending", [completed(), failed()])
def test_a_delivery_that_has_ended_can_be_made_again(store: JobStore, ending: Settlement) -> None:
    grant, delivery = ended(store)
    attempt = claim(store, delivery, word="a")
    store.settle(attempt.id, attempt.fence, ending)
    pop(store, "http")
    store.deliveries.resend(grant.id, delivery.id, delivery.message)
    record = store.get(delivery.id)
    assert (record.status, record.attempts, record.result, record.error) == (Status.QUEUED, 0, None, None)
    assert pop(store, "http") == delivery.id
    assert claim(store, delivery, word="b").attempts == 1


def test_a_delivery_that_waits_for_its_next_attempt_is_made_at_once_and_keeps_its_count(store: JobStore) -> None:
    grant, delivery = ended(store)
    attempt = claim(store, delivery, word="a")
    store.settle(attempt.id, attempt.fence, backing_off(delay_ms=3_600_000))
    store.deliveries.resend(grant.id, delivery.id, delivery.message)
    assert claim(store, delivery, word="b").attempts == 2


def test_what_is_about_to_be_made_or_belongs_to_another_job_is_not_made_again(store: JobStore) -> None:
    grant, delivery = ended(store)
    other = running(store)
    with pytest.raises(IllegalTransitionError, match="queued"):
        store.deliveries.resend(grant.id, delivery.id, b"{}")
    claim(store, delivery)
    with pytest.raises(IllegalTransitionError, match="running"):
        store.deliveries.resend(grant.id, delivery.id, b"{}")
    for job_id, delivery_id in ((other.id, delivery.id), (grant.id, other.id), (grant.id, "job_x")):
        with pytest.raises(JobNotFoundError):
            store.deliveries.resend(job_id, delivery_id, b"{}")


def test_deliveries_neither_wait_for_a_limit_of_their_key_nor_take_room_from_it(store: JobStore) -> None:
    store.limits.put("key:default", {"rule": "1 - -"})
    grant = running(store)
    claim(store, told(store, grant, "started"))
    other = a_job()
    store.create([other])
    assert store.claim(other.id, a_claimant(), claim="b", message=other.message) == Refusal("limit")
    store.settle(grant.id, grant.fence, completed())
    store.limits.put("key:default", {"rule": "1 1000 1000"})  # what runs is counted anew
    assert store.get(other.id).status is Status.QUEUED
    claim(store, other, word="c")


def test_only_a_running_attempt_tells(store: JobStore) -> None:
    grant = running(store)
    told(store, grant, "started")
    store.settle(grant.id, grant.fence, completed())
    for tells in ("started", "progress"):
        assert not store.deliveries.tell(grant, tells, a_delivery(grant.id, tells=tells))
    assert [event for _, event, _ in listed(store, grant.id)] == ["started"]


def test_progress_that_still_waits_tells_the_newer_instead(store: JobStore) -> None:
    grant = running(store)
    first = told(store, grant, "progress")
    newer = a_delivery(grant.id, tells="progress", whilst=f"{grant.id} {grant.fence}")._replace(
        spec=b'{"payload":{"newer":1}}'
    )
    assert store.deliveries.tell(grant, "progress", newer)
    assert listed(store, grant.id) == [(first.id, "progress", Status.QUEUED)]
    assert claim(store, first).spec == {"payload": {"newer": 1}}
    third = told(store, grant, "progress")
    assert [delivery for delivery, _, _ in listed(store, grant.id)] == [first.id, third.id]


def test_progress_that_waits_for_its_turn_tells_the_newer_instead(store: JobStore) -> None:
    grant = running(store)
    progress = told(store, grant, "progress")
    attempt = claim(store, progress)
    waiting = Settlement(Status.SCHEDULED, Event.QUEUED, "nothing", delay_ms=60_000, reason="turn")
    store.settle(attempt.id, attempt.fence, waiting)
    told(store, grant, "progress")
    assert listed(store, grant.id) == [(progress.id, "progress", Status.SCHEDULED)]


def test_progress_is_not_told_after_the_end_but_the_start_is(store: JobStore) -> None:
    grant = running(store)
    start, progress = told(store, grant, "started"), told(store, grant, "progress")
    store.settle(grant.id, grant.fence, completed())
    claim(store, start)
    assert store.claim(progress.id, a_claimant(), claim="b", message=progress.message) == Refusal("cancelled")
    assert store.get(progress.id).status is Status.CANCELLED


def test_progress_of_an_earlier_attempt_is_not_told(store: JobStore) -> None:
    grant = running(store)
    progress = told(store, grant, "progress")
    store.settle(grant.id, grant.fence, backing_off())
    store.cancel(grant.id, message="", callbacks=[])
    store.retry(grant.id, a_message(grant.id))
    again = store.claim(grant.id, a_claimant(), claim="again", message=b"{}")
    assert isinstance(again, Grant)
    assert store.claim(progress.id, a_claimant(), claim="b", message=b"{}") == Refusal("cancelled")


def test_progress_of_the_next_attempt_takes_the_place_of_what_waits(store: JobStore) -> None:
    grant = running(store)
    progress = told(store, grant, "progress")
    store.settle(grant.id, grant.fence, Settlement(Status.QUEUED, Event.QUEUED, "nothing", wakeup=b"{}"))
    again = store.claim(grant.id, a_claimant(), claim="again", message=b"{}")
    assert isinstance(again, Grant)
    assert store.deliveries.tell(again, "progress", a_delivery(grant.id, tells="progress"))
    assert isinstance(store.claim(progress.id, a_claimant(), claim="b", message=b"{}"), Grant)


def test_of_progress_ten_deliveries_stay_and_the_others_leave_nothing(store: JobStore, connector: Connector) -> None:
    grant = running(store)
    start = told(store, grant, "started")
    made: list[str] = []
    for number in range(25):
        delivery = told(store, grant, "progress")
        made.append(delivery.id)
        attempt = claim(store, delivery, word=str(number))
        store.settle(attempt.id, attempt.fence, with_note(failed(), b'{"error":"no"}'))
    assert [delivery for delivery, _, _ in listed(store, grant.id)] == [start.id, *made[-10:]]
    left = {key.decode().partition(made[0])[0] for key in connector.client.scan_iter(f"*{made[0]}*")}
    assert not left
    assert store.page(job_type="http").counts["http", Status.FAILED] == 10


def test_progress_that_is_over_is_not_retried_with_all_that_has_failed(store: JobStore) -> None:
    """It would end as cancelled, and as one of the first stop the whole retry."""
    grant = running(store)
    progress = told(store, grant, "progress")
    attempt = claim(store, progress)
    store.settle(attempt.id, attempt.fence, failed())
    store.settle(grant.id, grant.fence, completed())
    assert "progress of an attempt that has ended" in (store.retry(progress.id, progress.message) or "")
    store.retries.begin("retry_1", {}, total=None, canary=1)
    store.retries.step(store.retries.get("retry_1"), None, [(progress.id, progress.message)])
    assert (store.retries.get("retry_1").skipped, store.retries.prove("retry_1")) == (1, "completed")


def test_a_delivery_of_progress_that_is_made_again_does_not_ask_how_the_job_stands(store: JobStore) -> None:
    grant = running(store)
    progress = told(store, grant, "progress")
    store.settle(grant.id, grant.fence, completed())
    store.claim(progress.id, a_claimant(), claim="a", message=b"{}")
    store.deliveries.resend(grant.id, progress.id, progress.message)
    assert isinstance(store.claim(progress.id, a_claimant(), claim="b", message=b"{}"), Grant)


def test_the_lists_are_bounded(store: JobStore, connector: Connector) -> None:
    grant = running(store)
    for _ in range(3):
        store.create([a_delivery(grant.id) for _ in range(100)])
    assert len(store.deliveries.about(grant.id)) == 200
    _, delivery = ended(store)
    for number in range(30):
        attempt = claim(store, delivery, word=str(number))
        store.settle(attempt.id, attempt.fence, with_note(failed(), b"%d" % number))
        store.retry(delivery.id, delivery.message)
    assert connector.client.llen(f"test:attempts:{delivery.id}") == 20


def test_what_retention_removes_leaves_nothing_of_its_deliveries(store: JobStore, connector: Connector) -> None:
    grant, delivery = ended(store)
    attempt = claim(store, delivery)
    store.settle(attempt.id, attempt.fence, with_note(completed(), b"{}"))
    store.sweep(sweeping_rules(timedelta(0), {}, []), 100)
    found = [key for job_id in (grant.id, delivery.id) for key in connector.client.scan_iter(f"*{job_id}*")]
    assert not found
