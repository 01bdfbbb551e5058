"""Flows under random interleavings: whatever happens in whichever order, the books agree and each policy is kept."""

import random

import pytest

from tests.builders import a_claimant, a_job, a_message, backing_off, completed, failed
from tests.store.checking import differences
from tests.store.test_groups import retry, work_off
from workplatform.groups import grouped
from workplatform.states import FINAL, Event, Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant, NewJob, Record, Settlement

ENDINGS = {
    "fail": Settlement(Status.FAILED, Event.FAILED, "nothing", "no", error=b'{"code":"dependency_failed"}'),
    "skip": Settlement(Status.CANCELLED, Event.CANCELLED, "nothing", message="skipped"),
}


class Storm:
    """A flow of random shape, and hands that do something to it at random."""

    def __init__(self, store: JobStore, seed: int) -> None:
        self.store = store
        self.dice = random.Random(seed)
        self.running: list[Grant] = []
        self.jobs = self._made(12)

    def _made(self, size: int) -> list[NewJob]:
        jobs: list[NewJob] = []
        for _ in range(size):
            parents = self.dice.sample(jobs, min(len(jobs), self.dice.randrange(2)))
            policy = self.dice.choice(["fail", "skip", "continue"])
            job = a_job()
            if parents:
                job = job.with_terms(dependsOn=[parent.id for parent in parents], onParent=policy)
            jobs.append(job)
        jobs = grouped(jobs, "flow:f", {"steps": {}})
        self.store.create(jobs)
        return jobs

    def records(self) -> list[Record]:
        """Return the jobs as they stand, parents first."""
        found = self.store.groups.records([job.id for job in self.jobs])
        return [found[job.id] for job in self.jobs]

    def claim(self) -> None:
        """Claim any job, whether it can be or not."""
        job = self.dice.choice(self.jobs)
        answer = self.store.claim(job.id, a_claimant(), claim=str(self.dice.random()), message=job.message)
        if isinstance(answer, Grant):
            self.running.append(answer)

    def settle(self) -> None:
        """End an attempt, perhaps one that was taken away meanwhile, or the same one again."""
        if self.running:
            grant = self.dice.choice(self.running)
            ending = self.dice.choice([completed(), completed(), failed(), backing_off()])
            self.store.settle(grant.id, grant.fence, ending)

    def cancel(self) -> None:
        """Cancel any job."""
        self.store.cancel(self.dice.choice(self.jobs).id, message="", callbacks=[])

    def retry_one(self) -> None:
        """Retry any job."""
        job = self.dice.choice(self.jobs)
        self.store.retry(job.id, job.message)

    def retry_all(self) -> None:
        """Retry the flow."""
        retry(self.store, self.jobs)

    def tick(self) -> None:
        """Do what the scheduler does."""
        for job_id in self.store.groups.due(100).doomed:
            record = self.store.get(job_id)
            self.store.groups.end_child(job_id, record.doom or "", ENDINGS[record.on_parent_failure])
        for job_id in self.store.due(100).scheduled:
            self.store.promote(job_id, a_message(job_id))

    def act(self) -> None:
        """Do something."""
        acts = [self.claim] * 6 + [self.settle] * 6 + [self.tick] * 4 + [self.cancel, self.retry_one, self.retry_all]
        self.dice.choice(acts)()

    def finish(self) -> None:
        """Let all that is left run to its end."""
        while any(record.status not in FINAL for record in self.records()):
            self.tick()
            for record in self.records():
                if record.status is Status.QUEUED:
                    word = f"{record.id}-{record.fence}"
                    answer = self.store.claim(record.id, a_claimant(), claim=word, message=a_message(record.id))
                    assert isinstance(answer, Grant)
                    self.running.append(answer)
            for grant in self.running:
                self.store.settle(grant.id, grant.fence, completed())


@pytest.mark.parametrize("seed", range(4))
def test_the_books_agree_and_no_job_runs_against_its_policy(store: JobStore, connector: Connector, seed: int) -> None:
    storm = Storm(store, seed)
    for step in range(150):
        storm.act()
        if step % 10 == 0:
            assert wrong(connector) == []
    storm.finish()
    assert wrong(connector) == []
    group = store.groups.get("flow:f")
    assert (group.finished_at is not None, group.total) == (True, len(storm.jobs))
    due = store.groups.due(10)
    assert (due.releasing, due.doomed) == (0, [])


def test_a_storm_that_is_cancelled_leaves_nothing_open(store: JobStore, connector: Connector) -> None:
    storm = Storm(store, seed=7)
    for _ in range(40):
        storm.act()
    if store.groups.begin("flow:f", "cancel") == "ok":
        work_off(store, "flow:f")
    assert all(record.status in FINAL for record in storm.records())
    assert (store.groups.due(10).doomed, wrong(connector)) == ([], [])


def wrong(connector: Connector) -> list[str]:
    return [difference.sentence for difference in differences(connector) if difference.kind != "message"]
