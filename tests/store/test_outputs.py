"""What a job's record says of the files that it made visible."""

import json

from tests.builders import a_job, a_message, claim
from workplatform.states import Event, Status
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob, Settlement


def made(*uris: str, directory: bool = False) -> bytes:
    return json.dumps([{"uri": uri, "directory": directory} for uri in uris]).encode()


def ended(store: JobStore, job: NewJob, status: Status, outputs: bytes) -> list[str]:
    """Run one more attempt that ends so; returns the uris that the record lists."""
    grant = claim(store, job, word=status)
    event = {Status.COMPLETED: Event.COMPLETED, Status.FAILED: Event.FAILED, Status.QUEUED: Event.RETRYING}[status]
    settlement = Settlement(status, event, "attempt", wakeup=a_message(job.id), outputs=outputs)
    assert store.settle(job.id, grant.fence, settlement).is_accepted
    return [output["uri"] for output in store.get(job.id).outputs]


def test_a_job_that_made_nothing_lists_nothing(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    assert store.get(job.id).outputs == ()
    assert ended(store, job, Status.COMPLETED, b"") == []


def test_outputs_are_listed_as_their_payload_named_them(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    uri = "out/a b/ü/film.mp4"
    ended(store, job, Status.COMPLETED, made(uri, directory=True))
    assert store.get(job.id).outputs == [{"uri": uri, "directory": True}]


def test_what_earlier_attempts_made_stays_listed(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    assert ended(store, job, Status.QUEUED, made("b", "a/\u2028\"'")) == ["b", "a/\u2028\"'"]
    assert ended(store, job, Status.QUEUED, b"") == ["b", "a/\u2028\"'"]
    assert ended(store, job, Status.FAILED, made("c", "b")) == ["b", "a/\u2028\"'", "c"]


def test_ten_thousand_outputs_are_listed(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    ended(store, job, Status.QUEUED, made(*(f"first/{n}.mp4" for n in range(10_000))))
    assert len(ended(store, job, Status.COMPLETED, made(*(f"second/{n}.mp4" for n in range(10_000))))) == 20_000


def test_retrying_a_job_forgets_its_outputs_with_its_result(store: JobStore) -> None:
    job = a_job()
    store.create([job])
    ended(store, job, Status.FAILED, made("a"))
    store.retry(job.id, job.message)
    assert store.get(job.id).outputs == ()
