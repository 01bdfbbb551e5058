"""Tags: each failed job is filed under the tags of its submission, and no other job is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, steps, text

_ROUNDING_MS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """What matters of a job here; `tags` are None where only its submission has them."""

    status: str
    ended: str
    is_former: bool
    tags: Sequence[str] | None

    @property
    def is_failed(self) -> bool:
        return self.status == "failed" and bool(self.ended)

    @property
    def guard(self) -> dict[str, str]:
        return {"status": self.status, "finishedAt": self.ended}


class TagCheck:
    """Checks the search by tags against the failed jobs."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_failed(self, index: str) -> Iterator[Difference]:
        """Check that the failed jobs of an index are filed; those of the former version are when sweeping has come."""
        for job_ids in steps(self._reader.members(index, is_sorted=True)):
            answers = self._reader.ask([self._read(job_id) for job_id in job_ids])
            for job_id, answer in zip(job_ids, answers, strict=True):
                failure = _failure(answer)
                if failure.is_failed and not failure.is_former:
                    yield from self._of_job(job_id, failure, self._tags(job_id, failure))

    def of_tagged(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that what is filed under a tag has failed, and bears it."""
        for key in keys:
            tag = key.removeprefix(self._keys.tagged(""))
            for job_ids in steps(self._reader.members(key, is_sorted=True)):
                commands: list[Command] = []
                for job_id in job_ids:
                    commands += [("ZSCORE", key, job_id), self._read(job_id)]
                answers = self._reader.ask(commands)
                for job_id, score, answer in zip(job_ids, answers[::2], answers[1::2], strict=True):
                    failure = _failure(answer)
                    if score is not None and not (failure.is_failed and tag in self._tags(job_id, failure)):
                        mend = Mend(key, ("ZREM", key, job_id), failure.guard)
                        says = f"{key} lists job {job_id}, which is {failure.status or 'gone'} or has no such tag"
                        yield Difference("stray", job_id, says, mend)

    def _of_job(self, job_id: str, failure: _Failure, tags: Sequence[str]) -> Iterator[Difference]:
        scores: list[Command] = [("ZSCORE", self._keys.tagged(tag), job_id) for tag in tags]
        again, *found = self._reader.ask([self._read(job_id), *scores]) if tags else (None,)
        for tag, score in zip(tags, found, strict=True):
            if _failure(again) != failure:
                return  # it lives; what is wrong with it will still be so another time
            if score is None or abs(float(score) - float(failure.ended)) > _ROUNDING_MS:
                key = self._keys.tagged(tag)
                mend = Mend(key, ("ZADD", key, failure.ended, job_id), failure.guard)
                says = f"job {job_id} failed at {failure.ended} and {key} has it at {score}"
                yield Difference("missing" if score is None else "score", job_id, says, mend)

    def _tags(self, job_id: str, failure: _Failure) -> Sequence[str]:
        if failure.tags is not None:
            return failure.tags
        [spec] = self._reader.ask([("HGET", self._keys.job(job_id), "spec")])
        return list(orjson.loads(spec or b"{}").get("tags", ()))

    def _read(self, job_id: str) -> Command:
        return ("HMGET", self._keys.job(job_id), "status", "finishedAt", "schemaVersion", "error")


def _failure(answer: Any) -> _Failure:
    status, ended, version, error = answer
    tags = orjson.loads(error or b"{}").get("tags")
    return _Failure(text(status or b""), text(ended or b""), version is None, tags)
