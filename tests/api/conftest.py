"""What the tests of the API share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api import create_app
from api.application import Api
from tests.api.reading import Reader
from tests.api.running import Running, running_both, settings_in
from workplatform import embedded
from workplatform.bootstrap import Platform, build


@pytest.fixture(scope="package")
def platform_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the platform below."""
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="package")
def started_platform(platform_folder: Path) -> Iterator[Platform]:
    """A platform on a server of its own."""
    settings = settings_in(platform_folder)
    with embedded.running(settings):
        platform = build(settings)
        yield platform
        platform.close()


@pytest.fixture
def platform(started_platform: Platform) -> Platform:
    """A platform without jobs."""
    started_platform.connector.client.flushall()
    return started_platform


@pytest.fixture(scope="package")
def application(started_platform: Platform) -> Api:
    """The application, without a process."""
    return create_app(started_platform)


@pytest.fixture
def client(application: Api, platform: Platform) -> FlaskClient:
    """A client of the application."""
    del platform  # it has emptied the store
    return application.test_client()


@pytest.fixture
def listen() -> Iterator[Callable[..., Reader]]:
    """Starts clients of an event stream, as Reader does, and hangs up for them."""
    readers: list[Reader] = []

    def start(url: str, *, headers: dict[str, str] | None = None, **params: str) -> Reader:
        readers.append(Reader(url, headers=headers, **params))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running API, shared by the tests of a module."""
    with running_both(tmp_path_factory.mktemp("process")) as running:
        yield running


@pytest.fixture(scope="module")
def workers(api: Running) -> Iterator[Platform]:
    """The platform as a worker process sees it: what it does to jobs, the API must tell."""
    platform = build(api.settings)
    yield platform
    platform.close()
