"""The check of the store, as the tests ask it: at once, and without patience for messages on their way."""

from workplatform.store.connection import Connector
from workplatform.store.fsck.findings import Difference
from workplatform.store.fsck.survey import Survey


def survey(connector: Connector, *, takes_slot: bool = False) -> Survey:
    """Return a check of the store `test:`, in which every running job has to take a slot, or none has to."""
    return Survey(connector, prefix="test:", takes_slot=lambda _: takes_slot, patience_s=0.0)


def differences(connector: Connector, *, takes_slot: bool = False) -> list[Difference]:
    """Return what the check finds."""
    return list(survey(connector, takes_slot=takes_slot).differences())


def places_in_doubt(connector: Connector) -> list[Difference]:
    """Return the jobs that are not where their records say; messages a test may have popped, slots it need not take."""
    found = Survey(connector, prefix="test:", takes_slot=lambda _: False, patience_s=0.0).differences()
    return [difference for difference in found if difference.kind not in ("message", "unknown")]
