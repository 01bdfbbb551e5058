"""Names of the keys that only a check reads by itself; what each is stands in ../keys.py."""

from typing import Final, Literal

from workplatform.states import Status
from workplatform.store.keys import Keys

_STEP_OF_PRIORITY: Final = "\x06\x16"  # kombu's


class Names(Keys):
    """The keys, all of them."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.types = f"{prefix}types"
        self.scheduled = f"{prefix}scheduled"
        self.limited = f"{prefix}limited"
        self.leases = f"{prefix}leases"
        self.former_finished = f"{prefix}finished"
        self.doomed = f"{prefix}doomed"
        self.releasing = f"{prefix}releasing"
        self.idle_errors = f"{prefix}errors:idle"
        self.rules = f"{prefix}rules"
        self.limits = f"{prefix}limits"
        self.configured_limits = f"{prefix}limits:configured"
        self.offers = f"{prefix}offers"
        self.refills = f"{prefix}refills"

    def index(self, job_type: str, status: Status) -> str:
        """Return the key of the jobs of a type in a status."""
        return f"{self.prefix}index:{job_type}:{status}"

    def finished(self, job_type: str, status: Status) -> str:
        """Return the key of the jobs of a type that ended in a status."""
        return f"{self.prefix}finished:{job_type}:{status}"

    def group(self, group: str) -> str:
        """Return the key of a flow or batch."""
        return f"{self.prefix}group:{group}"

    def children(self, job_id: str) -> str:
        """Return the key of the jobs that wait for one to end."""
        return f"{self.prefix}children:{job_id}"

    def of_limit(self, kind: Literal["holding", "parked", "woken", "rounds"], name: str) -> str:
        """Return the key of the jobs that hold a limit, wait for it, or were woken by it, or of the turns at it."""
        return f"{self.prefix}{kind}:{name}"

    def failures(self, job_type: str, code: str) -> str:
        """Return the key of the failed jobs of a type with an error code."""
        return f"{self.prefix}failures:{job_type}:{code}"

    def codes(self, job_type: str) -> str:
        """Return the key of the error codes of a type's failed jobs."""
        return f"{self.prefix}codes:{job_type}"

    def tagged(self, tag: str) -> str:
        """Return the key of the failed jobs with a tag."""
        return f"{self.prefix}tagged:{tag}"

    def alike(self, fingerprint: str) -> str:
        """Return the key of the failed jobs whose errors are alike."""
        return f"{self.prefix}alike:{fingerprint}"

    def error(self, fingerprint: str) -> str:
        """Return the key of what is counted of errors that are alike."""
        return f"{self.prefix}error:{fingerprint}"

    def errors(self, order: str, job_type: str) -> str:
        """Return the key of a type's errors in an order."""
        return f"{self.prefix}errors:{order}:{job_type}"

    def slots(self, node: str) -> str:
        """Return the key of the jobs that take a slot of a node."""
        return f"{self.prefix}slots:{node}"

    def unique(self, job_type: str, word: str) -> str:
        """Return the key of a uniqueKey."""
        return f"{self.prefix}unique:{job_type}:{word}"

    def messages(self, queue: str, priority: int) -> str:
        """Return the key of the list that Celery pops from."""
        return f"{self.prefix}{queue}{_STEP_OF_PRIORITY}{priority}" if priority else f"{self.prefix}{queue}"
