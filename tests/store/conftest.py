"""What many tests of the store share."""

from collections.abc import Iterator

import pytest

from tests.store.checking import places_in_doubt
from workplatform.store.connection import Connector


@pytest.fixture
def everything_agrees(connector: Connector) -> Iterator[None]:
    """Hold what a test leaves behind against the records."""
    yield
    assert places_in_doubt(connector) == []
