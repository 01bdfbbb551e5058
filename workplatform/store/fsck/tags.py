"""Tags: each failed job is filed under the tags of its submission, and no other job is."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from workplatform.states import Status
from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, steps, text

_AT_ONCE: Final = 20  # submissions may be large
_ROUNDING_MS: Final = 1.0


class TagCheck:
    """Checks the search by tags against the submissions."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_failed(self, index: str) -> Iterator[Difference]:
        """Check that the failed jobs of an index are filed; those of the former version are when sweeping has come."""
        for job_ids in steps(self._reader.members(index, is_sorted=True), _AT_ONCE):
            found = self._reader.ask([self._read(job_id) for job_id in job_ids])
            wanted = {
                job_id: _tags(spec)
                for job_id, (status, _, spec, version) in zip(job_ids, found, strict=True)
                if status == b"failed" and version
            }
            for job_id, tags in wanted.items():
                yield from self._of_job(job_id, tags) if tags else ()

    def of_tagged(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that what is filed under a tag has failed, and bears it."""
        for key in keys:
            tag = key.removeprefix(self._keys.tagged(""))
            for job_ids in steps(self._reader.members(key, is_sorted=True), _AT_ONCE):
                commands: list[Command] = []
                for job_id in job_ids:
                    commands += [("ZSCORE", key, job_id), self._read(job_id)]
                answers = self._reader.ask(commands)
                for job_id, score, (status, ended, spec, _) in zip(job_ids, answers[::2], answers[1::2], strict=True):
                    if score is not None and not (status == b"failed" and tag in _tags(spec)):
                        mend = Mend(key, ("ZREM", key, job_id), _guard(status, ended))
                        says = f"{key} lists job {job_id}, which is {text(status or b'gone')} or has no such tag"
                        yield Difference("stray", job_id, says, mend)

    def _of_job(self, job_id: str, tags: Sequence[str]) -> Iterator[Difference]:
        scores: list[Command] = [("ZSCORE", self._keys.tagged(tag), job_id) for tag in tags]
        (status, ended, _, _), *found = self._reader.ask([self._read(job_id), *scores])
        for tag, score in zip(tags, found, strict=True):
            if status != Status.FAILED.encode() or ended is None:
                return
            if score is None or abs(float(score) - float(ended)) > _ROUNDING_MS:
                key = self._keys.tagged(tag)
                mend = Mend(key, ("ZADD", key, text(ended), job_id), _guard(status, ended))
                says = f"job {job_id} failed at {text(ended)} and {key} has it at {score}"
                yield Difference("missing" if score is None else "score", job_id, says, mend)

    def _read(self, job_id: str) -> Command:
        return ("HMGET", self._keys.job(job_id), "status", "finishedAt", "spec", "schemaVersion")


def _tags(spec: bytes | None) -> list[str]:
    said: Any = orjson.loads(spec) if spec else {}
    return list(said.get("tags", ()))


def _guard(status: bytes | None, ended: bytes | None) -> dict[str, str]:
    return {"status": text(status or b""), "finishedAt": text(ended or b"")}
