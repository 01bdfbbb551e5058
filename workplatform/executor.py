"""The executor: one attempt as named steps, from the claim to the settled job."""

import uuid
from collections.abc import Callable
from functools import partial
from itertools import count

import orjson
import structlog

from workplatform.attempt import Attempt, Tools, stall_timeout
from workplatform.context import JobContext
from workplatform.endings import Next, after_failure, after_success
from workplatform.errors import Cancelled, JobError, LeaseLostError, NoSpaceError, StoreUnavailableError
from workplatform.fingerprints import kept_error
from workplatform.gauge import or_lack_of_space
from workplatform.job_payload import payload_of
from workplatform.models import Result
from workplatform.pulse import Pulse
from workplatform.registry import JobType
from workplatform.secretfiles import named_secret
from workplatform.signing import keys_of
from workplatform.states import Status
from workplatform.storage.expiring import Expiring
from workplatform.storage.files import AttemptFiles
from workplatform.storage.local import LocalFiles
from workplatform.store.records import Beat, Claimant, Grant, NewJob, Refusal, Settled, Settlement
from workplatform.telling import raise_refusal, raise_unless_completed

_log = structlog.get_logger()


class Executor:
    """Runs attempts for one worker process; thread-safe.

    `takes_next` False makes every job come through Celery, so that Celery's events tell of each, and raises
    AttemptFailedError after all is done where one did not complete its job.
    """

    def __init__(self, tools: Tools, *, worker: str, takes_next: bool) -> None:
        self._tools = tools
        self.takes_next = takes_next
        self.is_draining = False
        self.taken = 0  # messages that Celery ever brought
        self._serving: set[int] = set()
        self._is_held_up = False
        self._claims = uuid.uuid4().hex
        self._numbers = count(1)
        settings = tools.settings
        self._workspace = settings.data_dir / "work"
        self._claimants = {
            is_local_work: Claimant(worker, settings.node_name, slots, settings.lease)
            for is_local_work, slots in ((True, settings.max_concurrent_jobs), (False, 0))
        }

    def drain(self) -> None:
        """Take no further job: a message that still comes goes back to its queue."""
        self.is_draining = True

    def has_room(self, queue: str) -> bool:
        """Whether another job of the queue could be claimed now, as far as is known."""
        if self._is_held_up:
            settings = self._tools.settings
            try:
                has_room = self._tools.store.has_room(settings.node_name, queue, settings.max_concurrent_jobs)
            except StoreUnavailableError:
                return False
            self._is_held_up = not has_room
        return not self._is_held_up

    def begin(self, job_type: JobType, job_id: str, priority: int) -> Callable[[], None]:
        """Ask for the job that a message named; the function returned runs it, and then what its queue holds next.

        The claim is on its way while the thread that is to run the job still wakes up. Claiming the next job in the
        step that settles the last one spares a loaded worker the way through Celery's loop.
        """
        self.taken += 1
        self._serving.add(self.taken)
        return partial(self._serve, self.taken, self._begun(job_type, job_id, priority))

    @property
    def serving(self) -> int:
        """How many of the pool's threads have something to do."""
        return len(self._serving)

    def _serve(self, number: int, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            self._serving.discard(number)

    def _begun(self, job_type: JobType, job_id: str, priority: int) -> Callable[[], None]:
        message = self._message(job_type, job_id, priority)
        if self.is_draining:
            return partial(self._give_back, job_id, message)
        answer = self._tools.store.begin_claim(
            job_id, self._claimant(job_type), claim=self._new_claim(), message=message
        )
        return partial(self._run, job_id, answer)

    def _give_back(self, job_id: str, message: bytes) -> None:
        self._tools.store.repush(job_id, message)

    def _run(self, job_id: str, answer: Callable[[], Grant | Refusal]) -> None:
        claimed = answer()
        if isinstance(claimed, Refusal):
            self._is_held_up = self._is_held_up or claimed.is_of_queue
            _log.debug("claim_refused", job_id=job_id, reason=claimed.reason)
            if not self.takes_next:
                raise_refusal(claimed)
            return
        grant: Grant | None = claimed
        while grant is not None:
            grant = self._run_granted(grant)

    def _run_granted(self, grant: Grant) -> Grant | None:
        attempt = self._open(self._tools.registry[grant.type], grant)
        try:
            following = self._perform(attempt)
            next_grant = self._settle(attempt, following)
        finally:
            self._close(attempt)
        if not self.takes_next:
            raise_unless_completed(following)
        return next_grant

    def _new_claim(self) -> str:
        """Return a word that no other claim bears, by which a repeated one is known."""
        return f"{self._claims}.{next(self._numbers)}"

    def _message(self, job_type: JobType, job_id: str, priority: int) -> bytes:
        return self._tools.submitter.build_message(job_id, job_type.name, job_type.queue, priority)

    def _claimant(self, job_type: JobType) -> Claimant:
        return self._claimants[job_type.is_local_work]

    def _open(self, job_type: JobType, grant: Grant) -> Attempt:
        tools = self._tools
        pulse = Pulse(
            grant.id,
            grant.fence,
            time_limit=job_type.time_limit,
            on_change=tools.heart.changed,
            stall_timeout=stall_timeout(grant),
        )
        tools.heart.add(pulse)
        journal = tools.journals.open(grant.id, grant.fence)
        expiring = Expiring(tools.settings.data_dir, grant.id) if grant.spec.get("outputsExpire") else None
        local = LocalFiles(tools.roots, journal, self._workspace, pulse.check, tools.gauge.limits, expiring)
        files = AttemptFiles(local, tools.remotes, pulse)
        tools.gauge.add(pulse, files)
        _log.debug(
            "job_started", job_id=grant.id, type=job_type.name, attempt=grant.attempts, waited_ms=grant.waited_ms
        )
        return Attempt(grant, job_type, pulse, files)

    def _perform(self, attempt: Attempt) -> Next | None:
        """Run the handler and make its outputs visible; None if the job is not this attempt's any more."""
        try:
            self._tools.bulletins.begin(attempt.grant, attempt.pulse)
            result = self._call_handler(attempt)
            message = attempt.pulse.message
            attempt.files.check()
            attempt.files.send()
            self._commit(attempt)
            attempt.result = result.model_dump_json(by_alias=True).encode()
            attempt.result_document = result.model_dump(mode="json", by_alias=True)
            return after_success(message)
        except LeaseLostError:
            return None
        except JobError as error:
            return self._after(error, attempt)
        except Exception as error:
            attempt.log.exception("handler_raised")
            return self._after(error, attempt)
        finally:
            attempt.files.let_go()

    def _call_handler(self, attempt: Attempt) -> Result:
        job_type, grant = attempt.job_type, attempt.grant
        payload = payload_of(job_type, grant, self._tools.store.groups)
        context = JobContext(
            job_id=grant.id,
            attempt=grant.attempts,
            reporter=attempt.pulse,
            files=attempt.files,
            children=self._tools.children,
            outbound=self._tools.outbound,
            confirm=partial(self._confirm, attempt),
            secrets=partial(named_secret, self._tools.settings.secrets_dir),
            keys=keys_of(self._tools.settings.webhook_secret, self._tools.settings.secrets_dir),
            note=attempt.note,
        )
        result = job_type.handler(payload, context)
        if not isinstance(result, job_type.result_model):
            raise TypeError(f"the handler of {job_type.name} returned {type(result).__name__}")
        return result

    def _commit(self, attempt: Attempt) -> None:
        """Rename the outputs, if this attempt still owns the job."""
        attempt.pulse.check()
        if attempt.files.has_outputs:
            self._confirm(attempt)
            attempt.files.commit()

    def _confirm(self, attempt: Attempt) -> None:
        """Raise Cancelled or LeaseLostError unless this attempt still owns the job; its lease begins anew."""
        grant = attempt.grant
        verdict = self._tools.store.confirm(self._tools.settings.lease, grant.id, grant.fence)
        if verdict != "ok":
            raise Cancelled if verdict == "cancelled" else LeaseLostError

    def _after(self, error: Exception, attempt: Attempt) -> Next:
        error = or_lack_of_space(error, attempt.files)
        attempt.may_be_resumed = not isinstance(error, NoSpaceError)
        policy = self._tools.submitter.policy(attempt.job_type.name, attempt.grant.spec)
        return after_failure(error, retries=attempt.grant.retries, policy=policy)

    def _settle(self, attempt: Attempt, following: Next | None) -> Grant | None:
        """Tell the store how the attempt ended; returns the queue's next job, if there is one for us."""
        grant, store = attempt.grant, self._tools.store
        lines = attempt.pulse.end()
        duration_ms = round(attempt.pulse.elapsed.total_seconds() * 1000)
        settled = Settled(is_accepted=False)
        if following is not None:
            settlement = self._settlement(attempt, following, lines, duration_ms)
            then = self._claimant(attempt.job_type) if self.takes_next and not self.is_draining else None
            settled = store.settle(grant.id, grant.fence, settlement, then=then, claim=self._new_claim())
        if settled.is_accepted and following is not None:
            attempt.job_has_ended = following.status.is_final
            self._tell_ending(attempt, following, duration_ms)
        else:
            # The log still gets its last lines: a cancelled job's are worth reading.
            store.beat(self._tools.settings.lease, [Beat(grant.id, grant.fence, lines=lines)])
            store.release(grant.id, grant.fence)
            attempt.job_has_ended = following is not None and following.status is Status.CANCELLED
            attempt.log.info("job_taken_away", duration_ms=duration_ms)
        return settled.next_grant

    def _tell_ending(self, attempt: Attempt, following: Next, duration_ms: int) -> None:
        facts = attempt.pulse.facts()
        if following.error:
            facts |= {"error": following.error["message"], "code": following.error["code"]}
        # Jobs that wait for their turn may be thousands, each of them many times.
        tell = attempt.log.debug if following.reason == "turn" else attempt.log.info
        tell(
            "job_ended",
            status=following.status.value,
            duration_ms=duration_ms,
            waited_ms=attempt.grant.waited_ms,
            **facts,
        )

    def _settlement(self, attempt: Attempt, following: Next, lines: list[str], duration_ms: int) -> Settlement:
        grant, is_queued = attempt.grant, following.status is Status.QUEUED
        return Settlement(
            status=following.status,
            event=following.event,
            costs=following.costs,
            message=following.message,
            result=attempt.result if following.status is Status.COMPLETED else b"",
            error=kept_error(grant.type, following.error, grant.spec) if following.error else b"",
            delay_ms=following.delay_ms,
            reason=following.reason,
            wakeup=self._message(attempt.job_type, grant.id, grant.priority) if is_queued else b"",
            lines=lines,
            callbacks=self._callbacks(attempt, following, duration_ms),
            outputs=orjson.dumps(attempt.files.committed) if attempt.files.committed else b"",
            found=attempt.found,
            stage=attempt.pulse.state.stage,
        )

    def _callbacks(self, attempt: Attempt, following: Next, duration_ms: int) -> list[NewJob]:
        if not following.status.is_final:
            return []
        return self._tools.callbacks.for_ending(
            attempt.grant,
            status=following.status,
            result=attempt.result_document,
            error=following.error["message"] if following.error else None,
            duration_ms=duration_ms,
        )

    def _close(self, attempt: Attempt) -> None:
        """Remove what the attempt leaves, but what the job's next attempt may go on with."""
        self._tools.bulletins.end(attempt.grant)
        self._tools.heart.remove(attempt.pulse)
        self._tools.gauge.remove(attempt.pulse)
        try:
            attempt.files.discard(keep=attempt.may_be_resumed and not attempt.job_has_ended)
            if attempt.job_has_ended:
                self._tools.journals.close_job(attempt.grant.id, attempt.grant.fence)
        except OSError:
            # Sweeping tries again. Raising here would drop the next job, which is ours already.
            attempt.log.exception("leftovers_stay")
