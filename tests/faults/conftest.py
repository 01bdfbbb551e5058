"""The fleet as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet import Fleet, running_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A server, and roles as the test starts them."""
    with running_fleet(tmp_path) as fleet:
        yield fleet
