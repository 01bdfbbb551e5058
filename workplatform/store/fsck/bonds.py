"""Bonds between jobs: those that wait for others are noted with them, and groups have ended when their jobs have."""

from collections.abc import Iterator, Sequence

from workplatform.states import FINAL, Status
from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, steps, text


class BondCheck:
    """Checks dependencies and groups."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_waiting(self, index: str) -> Iterator[Difference]:
        """Check that each job of an index which waits for its parents is noted with those that have not ended."""
        for job_ids in steps(self._reader.members(index, is_sorted=True)):
            answers = self._reader.ask([("HGET", self._keys.job(job_id), "parents") for job_id in job_ids])
            for job_id, parents in zip(job_ids, answers, strict=True):
                if parents:
                    yield from self._of_child(job_id, text(parents).split())

    def of_groups(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that a group has ended if, and only if, all of its jobs have."""
        open_statuses = [status for status in Status if status not in FINAL]
        commands: list[Command] = []
        for key in keys:
            group = key.removeprefix(self._keys.group(""))
            commands.append(("HMGET", key, "createdAt", "finishedAt"))
            commands.append(("EXISTS", *(self._keys.members(group, status) for status in open_statuses)))
        answers = self._reader.ask(commands)
        for key, (created, finished), left in zip(keys, answers[::2], answers[1::2], strict=True):
            if created and bool(left) is bool(finished):
                stands = "has ended and has open jobs" if finished else "has no open job and has not ended"
                yield Difference("group", key, f"{key} {stands}")

    def of_listed(self, keys: Sequence[str], *, kind: str) -> Iterator[Difference]:
        """Check that each flow or batch that is listed exists."""
        for key in keys:
            for names in steps(self._reader.members(key, is_sorted=True)):
                commands: list[Command] = []
                for name in names:
                    commands += [("ZSCORE", key, name), ("EXISTS", self._keys.group(f"{kind}:{name}"))]
                answers = self._reader.ask(commands)
                for name, score, exists in zip(names, answers[::2], answers[1::2], strict=True):
                    if score is not None and not exists:
                        says = f"{key} lists {name}, which does not exist"
                        yield Difference("stray", name, says, Mend(key, ("ZREM", key, name)))

    def _of_child(self, job_id: str, parents: Sequence[str]) -> Iterator[Difference]:
        commands: list[Command] = [("HMGET", self._keys.job(job_id), "status", "reason", "open", "doom")]
        for parent in parents:
            commands.append(("ZSCORE", self._keys.children(parent), job_id))
            commands.append(("HGET", self._keys.job(parent), "status"))
            commands.append(("ZSCORE", self._keys.releasing, parent))
        (status, reason, left, doom), *found = self._reader.ask(commands)
        if status != b"waiting" or reason != b"dependencies":
            return
        noted = [score is not None for score in found[::3]]
        if int(left or 0) != sum(noted):
            yield _wrong(job_id, f"waits for {int(left or 0)} jobs and is noted with {sum(noted)}")
        elif not sum(noted) and doom is None:
            yield _wrong(job_id, "waits for no job that has not ended")
        # A parent that has ended once is not waited for again, so one that runs anew need not be noted.
        for parent, is_noted, stands, telling in zip(parents, noted, found[1::3], found[2::3], strict=True):
            is_over = stands is None or text(stands) in FINAL
            if is_noted and is_over and telling is None:
                yield _wrong(job_id, f"is noted with {parent}, which has ended and tells nobody any more")


def _wrong(job_id: str, fault: str) -> Difference:
    return Difference("missing", job_id, f"job {job_id} {fault}")
