"""Turns and limits under random interleavings: every job ends, once, and everything agrees with the records."""

import json
import random
from datetime import timedelta

import pytest

from tests.builders import (
    a_claimant,
    a_job,
    a_message,
    backing_off,
    completed,
    failed,
    given_back,
    kinds_of_keys,
    pop,
)
from tests.store.checking import places_in_doubt
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Grant

STEPS = 80
RULES = ("1 - -", "3 - -", "- - -", "2 5 10")


class Storm:
    """Callers of three keys, workers, one scheduler, and bad luck, as the seed has it."""

    def __init__(self, store: JobStore, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.jobs: list[str] = []
        self.running: dict[str, int] = {}
        self.claims = 0

    def submit(self) -> None:
        """Submit some jobs, of which some share a concurrencyKey."""
        jobs = []
        for _ in range(self.chance.choice((1, 2, 5, 12))):
            terms = {"by": self.chance.choice("aab")}
            if self.chance.random() < 0.2:
                terms["concurrency"] = f"{self.chance.choice((1, 2))} {self.chance.choice('xy')}"
            job = a_job(job_type=self.chance.choice(("nap", "web")), priority=self.chance.choice((1, 2, 2)))
            jobs.append(job._replace(terms=json.dumps(terms).encode() if self.chance.random() < 0.8 else b""))
        self.store.create(jobs)
        self.jobs += [job.id for job in jobs]

    def claim(self) -> None:
        """Take the next message, and sometimes lose it."""
        job_id = pop(self.store)
        if job_id is None or self.chance.random() < 0.05:
            return
        self.claims += 1
        answer = self.store.claim(job_id, a_claimant(), claim=str(self.claims), message=a_message(job_id))
        if isinstance(answer, Grant):
            self.begin(answer)

    def begin(self, grant: Grant) -> None:
        """Note that an attempt runs."""
        assert grant.id not in self.running
        self.running[grant.id] = grant.fence

    def settle(self) -> None:
        """End an attempt in some way, and sometimes take the next job with it."""
        if not self.running:
            return
        job_id = self.chance.choice(sorted(self.running))
        endings = (completed(), completed(), failed(), backing_off(delay_ms=1), given_back(job_id))
        self.claims += 1
        settled = self.store.settle(
            job_id,
            self.running.pop(job_id),
            self.chance.choice(endings),
            then=self.chance.choice((None, a_claimant())),
            claim=str(self.claims),
        )
        assert settled.is_accepted
        if settled.next_grant:
            self.begin(settled.next_grant)

    def cancel(self) -> None:
        """Cancel some job; its worker, if it has one, does not always tell that it has ended it."""
        if self.jobs:
            job_id = self.chance.choice(self.jobs)
            self.store.cancel(job_id, message="", callbacks=[])
            fence = self.running.pop(job_id, None)
            if fence is not None:
                self.store.release(job_id, fence)

    def retry(self) -> None:
        """Retry some job."""
        if self.jobs:
            job_id = self.chance.choice(self.jobs)
            self.store.retry(job_id, a_message(job_id))

    def schedule(self) -> None:
        """Do what the scheduler does."""
        for job_id in self.store.due(100).scheduled:
            self.store.promote(job_id, a_message(job_id))
        self.store.limits.let_in()
        for priority in (1, 2):
            for job_id in self.store.lost("nap", priority, patience=timedelta(0), most=100):
                self.store.repush(job_id, a_message(job_id))

    def change_limit(self) -> None:
        """Set another limit."""
        self.store.limits.put(self.chance.choice(("type:nap", "key:a")), {"rule": self.chance.choice(RULES)})

    def step(self) -> None:
        """Do something."""
        weights = {
            self.submit: 8,
            self.claim: 12,
            self.settle: 7,
            self.cancel: 2,
            self.retry: 1,
            self.schedule: 3,
            self.change_limit: 1,
        }
        [act] = self.chance.choices(list(weights), list(weights.values()))
        act()

    def is_over(self) -> bool:
        """Whether every job has ended."""
        return all(status.is_final for _, status in self.store.page(limit=0).counts)


@pytest.mark.parametrize("seed", [1, 5])
def test_every_job_ends_once_whatever_happens_in_which_order(store: JobStore, connector: Connector, seed: int) -> None:
    storm = Storm(store, seed)
    for number in range(STEPS):
        storm.step()
        if number % 20 == 0:
            assert places_in_doubt(connector) == [], f"seed {seed}, step {number}"
    for name in ("type:nap", "key:a"):
        store.limits.put(name, {"rule": "3 - -"})
    for _ in range(20_000):
        storm.schedule()
        storm.claim()
        storm.settle()
        if storm.is_over():
            break
    assert storm.is_over(), f"seed {seed}: {store.page(limit=0).counts}"
    assert places_in_doubt(connector) == []
    waits = {"standing", "backlog", "behind", "queued", "refills", "parked", "offers", "rounds"}
    assert kinds_of_keys(connector) & waits == set()
