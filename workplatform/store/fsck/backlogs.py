"""Backlogs: where API keys take turns, queued jobs wait behind those of their key that stand in the queue."""

from workplatform.apikeys import DEFAULT
from workplatform.store.fsck.names import Names
from workplatform.store.fsck.places import Fields
from workplatform.store.fsck.reading import Reader


class Backlogs:
    """Tells of a queued job that does not stand in its queue whether its turn has just not come."""

    def __init__(self, reader: Reader, keys: Names) -> None:
        self._reader = reader
        self._keys = keys

    def explain(self, job_id: str, fields: Fields) -> bool:
        """Whether the job is in a backlog, or stands in its queue by now, or is not queued any more."""
        lane = fields["queue"], int(fields["priority"])
        standing, behind, status = self._reader.ask(
            [
                ("ZSCORE", self._keys.queued(*lane), job_id),
                ("ZSCORE", self._keys.behind(*lane, fields.get("by", DEFAULT)), job_id),
                ("HGET", self._keys.job(job_id), "status"),
            ]
        )
        return standing is not None or behind is not None or status != b"queued"
