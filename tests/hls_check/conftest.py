"""The good folders, made once a session."""

from pathlib import Path

import pytest

from tests.hls_check.folders import encrypted, fragments, transport_streams


@pytest.fixture(scope="session")
def good_ts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Transport streams with all kinds of renditions."""
    return transport_streams(tmp_path_factory.mktemp("ts"))


@pytest.fixture(scope="session")
def good_fmp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments of fragmented MP4."""
    return fragments(tmp_path_factory.mktemp("fmp4"))


@pytest.fixture(scope="session")
def good_encrypted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments encrypted by AES-128."""
    return encrypted(tmp_path_factory.mktemp("encrypted"))
