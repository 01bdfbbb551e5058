"""What the tests of stores share: one server for all, an empty bucket for each."""

from collections.abc import Iterator

import pytest

from tests.storage.stores import Store, running_store


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A running S3 server."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture
def s3(s3_server: Store) -> Store:
    """A store with an empty bucket."""
    s3_server.empty()
    return s3_server
