"""Refusals: why jobs are not taken in, although nothing is wrong with them."""

from workplatform.errors import PlatformError


class AdmissionError(PlatformError):
    """No job is taken in now."""

    code = "not_admitted"


class QueueFullError(AdmissionError):
    """The queue has as many jobs waiting as it may."""

    code = "queue_full"


class QueueDrainingError(AdmissionError):
    """The queue is being drained: it takes no job until it is resumed."""

    code = "queue_draining"


class MemoryShortError(AdmissionError):
    """Redis runs short of memory: submissions are refused until jobs were removed."""

    code = "memory_short"
