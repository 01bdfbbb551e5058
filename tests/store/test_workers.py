"""The register of workers."""

from datetime import timedelta

from tests.builders import GONE, LEASE, a_job, an_announcement, claim, completed
from tests.waiting import eventually
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat


def ids(store: JobStore) -> list[str]:
    """The ids of the live workers."""
    return [worker.id for worker in store.workers.everyone()]


def test_a_queue_is_served_while_a_worker_says_so(store: JobStore) -> None:
    assert store.queues.states().served == frozenset()
    store.workers.announce("w1", an_announcement("hls", "http"), lifetime=LEASE)
    store.workers.announce("w2", an_announcement("webp"), lifetime=GONE)
    eventually(lambda: store.queues.states().served == {"hls", "http"})
    assert ids(store) == ["w1"]
    assert store.page(limit=0).queues.served == {"hls", "http"}
    store.workers.withdraw("w1", ["hls", "http"])
    assert store.queues.states().served == frozenset()
    assert ids(store) == []


def test_a_queue_is_served_until_its_last_worker_leaves(store: JobStore) -> None:
    for worker in ("w1", "w2"):
        store.workers.announce(worker, an_announcement("hls"), lifetime=LEASE)
    store.workers.withdraw("w1", ["hls"])
    assert store.queues.states().served == {"hls"}
    store.workers.withdraw("w2", ["hls"])
    assert store.queues.states().served == frozenset()


def test_a_draining_worker_is_seen_and_serves_nothing(store: JobStore) -> None:
    store.workers.announce("w1", an_announcement("hls"), lifetime=LEASE)
    store.workers.announce("w1", an_announcement("hls", is_draining=True), lifetime=LEASE)
    assert store.queues.states().served == frozenset()
    assert [worker.about.is_draining for worker in store.workers.everyone()] == [True]


def test_what_a_worker_says_comes_back_as_it_was(store: JobStore) -> None:
    said = an_announcement("hls", "webp", load=(1.5, 0.5, 0.25), free_scratch_bytes=2**50, host="höst")
    store.workers.announce("w1", said, lifetime=LEASE)
    about = store.workers.everyone()[0].about
    assert (about.host, about.free_scratch_bytes) == ("höst", 2**50)
    assert (tuple(about.queues), tuple(about.load)) == (("hls", "webp"), (1.5, 0.5, 0.25))


def test_the_start_stays_while_the_last_word_moves(store: JobStore) -> None:
    store.workers.announce("w1", an_announcement("hls"), age=timedelta(seconds=5), lifetime=LEASE)
    first = store.workers.everyone()[0]
    assert first.seen_at - first.started_at == timedelta(seconds=5)

    def has_moved() -> bool:
        store.workers.announce("w1", an_announcement("hls"), age=timedelta(seconds=60), lifetime=LEASE)
        return store.workers.everyone()[0].seen_at > first.seen_at

    eventually(has_moved)
    assert store.workers.everyone()[0].started_at == first.started_at


def test_jobs_are_told_as_their_records_say_and_ended_ones_are_not(store: JobStore) -> None:
    running, ended, taken = a_job(), a_job(), a_job()
    store.create([running, ended, taken])
    grants = [claim(store, job, word=job.id) for job in (running, ended, taken)]
    store.beat(LEASE, [Beat(running.id, 1, changed=True, progress=40, stage="napping")])
    store.settle(ended.id, 1, completed())
    attempts = [(running.id, grants[0].fence), (ended.id, grants[1].fence), (taken.id, grants[2].fence - 1)]
    store.workers.announce("w1", an_announcement("nap"), attempts=attempts, lifetime=LEASE)
    (job,) = store.workers.everyone()[0].jobs
    assert (job.id, job.type, job.progress, job.stage) == (running.id, "nap", 40.0, "napping")
    assert job.started_at == store.get(running.id).started_at


def test_what_workers_said_is_gone_with_them(store: JobStore) -> None:
    store.workers.announce("w1", an_announcement("hls"), lifetime=GONE)
    store.workers.announce("w2", an_announcement("hls"), lifetime=LEASE)
    client = store._connector.client
    eventually(lambda: client.keys("test:worker:*") == [b"test:worker:w2"])
    store.workers.withdraw("w2", ["hls"])
    assert client.keys("test:*") == [b"test:serving", b"test:workers"] or client.keys("test:*") == []
