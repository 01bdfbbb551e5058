"""Groups of errors that are alike: each has failed jobs, or had some and is kept for a while."""

from collections.abc import Iterator, Sequence

from workplatform.store.fsck.findings import Difference, Mend
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.reading import Command, Reader, steps, text


class ErrorCheck:
    """Checks what is counted of errors against the jobs that failed with them."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def of_errors(self, keys: Sequence[str]) -> Iterator[Difference]:
        """Check that a group of errors is listed by its last moment and its count, and has jobs or is idle."""
        prints = [key.removeprefix(self._keys.error("")) for key in keys]
        types = self._reader.ask([("HGET", key, "type") for key in keys])
        for key, fingerprint, job_type in zip(keys, prints, types, strict=True):
            named = text(job_type or b"")
            (count, last), *answers = self._reader.ask(
                [
                    ("HMGET", key, "count", "lastSeen"),
                    ("ZSCORE", self._keys.errors("count", named), fingerprint),
                    ("ZSCORE", self._keys.errors("lastSeen", named), fingerprint),
                    ("EXISTS", self._keys.alike(fingerprint)),
                    ("ZSCORE", self._keys.idle_errors, fingerprint),
                ]
            )
            if count is None:  # gone since it was named
                continue
            by_count, by_last, has_jobs, is_idle = answers
            if by_count != float(count) or by_last != float(last or 0):
                says = f"{key} counts {text(count)}, last at {text(last or b'')}; listed with {by_count} and {by_last}"
                yield Difference("error", fingerprint, says)
            if not has_jobs and is_idle is None:
                yield Difference("error", fingerprint, f"{key} has no failed job, and nothing will remove it")

    def of_listed(self, key: str) -> Iterator[Difference]:
        """Check that listed groups of errors exist."""
        for prints in steps(self._reader.members(key, is_sorted=True)):
            commands: list[Command] = []
            for fingerprint in prints:
                commands += [("ZSCORE", key, fingerprint), ("EXISTS", self._keys.error(fingerprint))]
            answers = self._reader.ask(commands)
            for fingerprint, score, exists in zip(prints, answers[::2], answers[1::2], strict=True):
                if score is not None and not exists:
                    mend = Mend(key, ("ZREM", key, fingerprint))
                    yield Difference("stray", fingerprint, f"{key} lists {fingerprint}, which does not exist", mend)
