"""What many tests share: one embedded server a session, a fresh store a test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.order import in_order
from workplatform import embedded
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.jobs import JobStore

_MOST_PROCESSES = 8  # each starts servers and encoders of its own


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say how many processes `-n auto` means: two more than there are cores, since many tests wait."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores + 2, _MOST_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    items[:] = in_order(items)


@pytest.fixture(scope="session")
def server_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a platform with a data directory of its own."""
    folder = tmp_path_factory.mktemp("platform")
    return load({"DATA_DIR": str(folder / "data"), "ALLOWED_ROOTS": str(folder)}, env_file=folder / "none").settings


@pytest.fixture(scope="session")
def server(server_settings: Settings) -> Iterator[str]:
    """The address of a running embedded server."""
    with embedded.running(server_settings) as address:
        yield address


@pytest.fixture
def connector(server: str) -> Iterator[Connector]:
    """A connection to an empty server."""
    connector = Connector(server)
    connector.client.flushall()
    yield connector
    connector.close()


@pytest.fixture
def store(connector: Connector) -> JobStore:
    """A store without jobs."""
    return JobStore(connector, prefix="test:")


@pytest.fixture
def event_log(connector: Connector) -> EventLog:
    """The store's event stream."""
    return EventLog(connector, prefix="test:")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
