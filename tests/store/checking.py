"""The check of the store, as the tests ask it: at once, and without patience for messages on their way."""

from workplatform.store.connection import Connector
from workplatform.store.fsck.findings import Difference
from workplatform.store.fsck.survey import Survey


def survey(connector: Connector) -> Survey:
    """Return a check of the store `test:`, in which every job takes a slot unless its claimant has none."""
    return Survey(connector, prefix="test:", takes_slot=lambda _: True, patience_s=0.0)


def differences(connector: Connector) -> list[Difference]:
    """Return what the check finds."""
    return list(survey(connector).differences())
