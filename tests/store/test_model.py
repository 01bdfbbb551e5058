"""The store against a simple model of it: random steps of several workers, clients and schedulers, in any order."""

import json
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.builders import GONE, LEASE, a_claimant, a_job, backing_off, completed, failed, given_back, pop
from tests.store.checking import differences
from tests.store.modelling import ACTIVE, SLOTS, Model, ModelJob
from tests.waiting import eventually
from workplatform.retention import sweeping_rules
from workplatform.states import FINAL, Status
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import Beat, Claimant, Grant, Refusal, Settlement

AT_ONCE = timedelta(0)
FAR_MS = 10**13
ENDINGS = ("completed", "failed", "backing_off", "given_back")
worker_names = st.sampled_from(["w1", "w2", "w3"])


def an_ending(name: str, job_id: str) -> Settlement:
    if name == "given_back":
        return given_back(job_id)
    return backing_off() if name == "backing_off" else failed() if name == "failed" else completed()


def a_worker(name: str = "w1", *, lapses: bool = False) -> Claimant:
    return a_claimant(worker=name, slots=SLOTS, lease=GONE if lapses else LEASE)


class Interleavings(RuleBasedStateMachine):
    """Every rule does one step to the store and to the model, and compares what they answer."""

    connector: Connector

    @initialize()
    def begin(self) -> None:
        self.connector.client.flushall()
        self.store = JobStore(self.connector, prefix="test:")
        self.model = Model()
        self.claims = 0

    @rule(
        number=st.integers(1, 3),
        priority=st.sampled_from([0, 2, 4]),
        unique=st.sampled_from([None, None, "a", "b"]),
        when=st.sampled_from(["now", "soon", "later"]),
        limit=st.sampled_from([None, None, "expired", "deadline", "far"]),
    )
    def create(self, number: int, priority: int, unique: str | None, when: str, limit: str | None) -> None:
        terms: dict[str, object] = {
            **({"unique": unique} if unique else {}),
            **({"soon": {"delay": 1}, "later": {"delay": FAR_MS}}.get(when, {})),
            **({"expired": {"expiresAt": 1}, "deadline": {"deadline": 1}}.get(limit or "", {})),
            **({"expiresAt": FAR_MS, "deadline": FAR_MS} if limit == "far" else {}),
        }
        jobs = [a_job(priority=priority)._replace(terms=json.dumps(terms).encode()) for _ in range(number)]
        others = {}
        for job in jobs:
            if other := self.model.holder(unique):
                others[job.id] = other
                continue
            status = Status.QUEUED if when == "now" else Status.SCHEDULED
            self.model.add(ModelJob(job.id, priority, status, unique, limit in ("expired", "deadline")))
        assert self.store.create(jobs).others == others

    @rule(worker=worker_names, lapses=st.booleans())
    def take_a_message_and_claim(self, worker: str, lapses: bool) -> None:
        expected, job_id = self.model.pop(), pop(self.store)
        assert job_id == expected
        if job_id is not None:
            self._claim(job_id, worker, lapses=lapses)

    @precondition(lambda self: self.model.of(Status.QUEUED))
    @rule(data=st.data(), worker=worker_names)
    def claim_by_a_message_that_came_twice(self, data: st.DataObject, worker: str) -> None:
        self._claim(data.draw(st.sampled_from(self.model.of(Status.QUEUED))), worker, lapses=False)

    def _claim(self, job_id: str, worker: str, *, lapses: bool) -> None:
        self.claims += 1
        priority = self.model.jobs[job_id].priority if job_id in self.model.jobs else 2
        message = json.dumps({"headers": {"id": job_id}}).encode()
        answer = self.store.claim(job_id, a_worker(worker, lapses=lapses), claim=f"c{self.claims}", message=message)
        expected = self.model.claim(job_id, priority, lapses=lapses)
        if isinstance(answer, Refusal):
            assert answer.reason == expected
            return
        assert expected == "granted"
        self._compare_grant(answer)

    def _compare_grant(self, grant: Grant) -> None:
        job = self.model.jobs[grant.id]
        assert (grant.fence, grant.attempts, grant.retries) == (job.fence, job.attempts, job.retries)

    @precondition(lambda self: self.model.of(Status.RUNNING))
    @rule(data=st.data(), ending=st.sampled_from(ENDINGS), is_late=st.booleans(), goes_on=st.booleans())
    def settle(self, data: st.DataObject, ending: str, is_late: bool, goes_on: bool) -> None:
        job_id = data.draw(st.sampled_from(self.model.of(Status.RUNNING)))
        self.claims += 1
        fence = self.model.jobs[job_id].fence - int(is_late)
        then = a_worker() if goes_on else None
        settled = self.store.settle(job_id, fence, an_ending(ending, job_id), then=then, claim=f"c{self.claims}")
        assert settled.is_accepted != is_late
        if is_late:
            assert settled.next_grant is None
            return
        following = self._settled(job_id, ending, goes_on=goes_on)
        assert (settled.next_grant.id if settled.next_grant else None) == following
        if settled.next_grant:
            self._compare_grant(settled.next_grant)

    def _settled(self, job_id: str, ending: str, *, goes_on: bool) -> str | None:
        if ending == "given_back" and goes_on:  # the next job is claimed before this one is back in its list
            self.model.settle(job_id, "backing_off")
            following = self.model.claim_next()
            job = self.model.jobs[job_id]
            job.status, job.retries, job.attempts = Status.QUEUED, job.retries - 1, job.attempts - 1
            self.model.push(job_id, first=True)
            return following
        self.model.settle(job_id, ending)
        return self.model.claim_next() if goes_on else None

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), is_late=st.booleans())
    def beat(self, data: st.DataObject, is_late: bool) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        [verdict] = self.store.beat(LEASE, [Beat(job.id, job.fence + 5 * is_late, changed=True, progress=10.0)])
        if is_late or job.fence == 0 or job.status not in (Status.RUNNING, Status.CANCELLED):
            assert verdict == "lost"
            return
        assert verdict == ("ok" if job.status is Status.RUNNING else "cancelled")
        job.lapses = False

    @precondition(lambda self: self.model.of(Status.RUNNING))
    @rule(data=st.data(), ending=st.sampled_from(["failed", "backing_off", "given_back"]))
    def reap(self, data: st.DataObject, ending: str) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(self.model.of(Status.RUNNING)))]
        if not job.lapses:
            assert not self.store.reap(job.id, job.fence, an_ending(ending, job.id))
            return
        eventually(lambda: self.store.reap(job.id, job.fence, an_ending(ending, job.id)))
        self.model.settle(job.id, ending)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), spares=st.booleans())
    def cancel(self, data: st.DataObject, spares: bool) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        is_done = job.status in ACTIVE and not (spares and job.status is Status.RUNNING)
        answer = self.store.cancel(job.id, message="", callbacks=[a_job()], spare_running=spares)
        assert answer == (is_done, job.status)
        if is_done:
            job.status, job.lapses = Status.CANCELLED, False
            told = next(record for record in self.store.page(limit=1).records)
            self.model.add(ModelJob(told.id, 2, Status.QUEUED))
            self.store.cancel(told.id, message="", callbacks=[])
            self.model.jobs[told.id].status = Status.CANCELLED

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        message = json.dumps({"headers": {"id": job.id}}).encode()
        refusal = self.store.retry(job.id, message)
        may = job.status in (Status.FAILED, Status.CANCELLED) and not self.model.holder(job.unique, but=job.id)
        assert (refusal is None) == may, refusal
        if may:
            self.model.retry(job.id)

    @precondition(lambda self: self.model.of(Status.SCHEDULED))
    @rule()
    def promote(self) -> None:
        for job_id in self.store.due(100).scheduled:
            assert self.model.jobs[job_id].status is Status.SCHEDULED
            message = json.dumps({"headers": {"id": job_id}}).encode()
            assert self.store.promote(job_id, message)
            assert not self.store.promote(job_id, message), "another scheduler comes too late"
            self.model.jobs[job_id].status = Status.QUEUED
            self.model.push(job_id)

    @rule()
    def expire(self) -> None:
        expected = [job.id for job in self.model.jobs.values() if job.is_expired and job.status in ACTIVE]
        assert sorted(self.store.due(1000).expired) == sorted(expected)
        for job_id in expected:
            assert self.store.expire(job_id, message="late", error=b'{"code":"expired"}', callbacks=[])
            assert not self.store.expire(job_id, message="late", error=b'{"code":"expired"}', callbacks=[])
            self.model.jobs[job_id].status = Status.FAILED

    @rule()
    def lose_a_message(self) -> None:
        assert pop(self.store) == self.model.pop()

    @rule()
    def find_what_lost_its_message(self) -> None:
        is_sure = not any(self.model.messages.values())
        for priority in (0, 2, 4):
            for _ in range(2):  # suspected first, then found
                lost = self.store.lost("nap", priority, patience=AT_ONCE, most=100)
            for job_id in lost:
                assert self.model.jobs[job_id].status is Status.QUEUED
                assert self.store.repush(job_id, json.dumps({"headers": {"id": job_id}}).encode())
                self.model.push(job_id, first=True)
        assert not (is_sure and self.model.unheard), "behind a message some may hide until it is taken, not in a void"

    @rule()
    def sweep(self) -> None:
        ended = self.model.of(*FINAL)
        assert self.store.sweep(sweeping_rules(AT_ONCE, {}, ["nap"]), 1000) == len(ended)
        for job_id in ended:
            del self.model.jobs[job_id]

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:
        self.store.queues.pause("nap", is_paused=is_paused)
        self.model.is_paused = is_paused

    @invariant()
    def every_job_stands_as_in_the_model(self) -> None:
        records = {record.id: record for record in self.store.page(limit=10_000).records}
        assert {job_id: record.status for job_id, record in records.items()} == {
            job_id: job.status for job_id, job in self.model.jobs.items()
        }
        for job_id, job in self.model.jobs.items():
            record = records[job_id]
            assert (record.fence, record.attempts, record.retries) == (job.fence, job.attempts, job.retries)

    @invariant()
    def all_that_is_derived_agrees_with_the_records(self) -> None:
        found = differences(self.connector, takes_slot=True)
        assert {difference.subject for difference in found if difference.kind == "message"} == self.model.unheard
        assert [difference for difference in found if difference.kind != "message"] == []


def test_no_interleaving_brings_store_and_model_apart(connector: Connector) -> None:
    class Here(Interleavings):
        pass

    Here.connector = connector
    few = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what fails can be shrunk by hand, by the line that it prints
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(Here, settings=few)
