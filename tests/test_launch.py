"""`workplatform up`: what it refuses before anything starts."""

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from workplatform.address import local_url
from workplatform.errors import AlreadyRunningError
from workplatform.launch import check_port
from workplatform.settings import Settings

ROOT = Path(__file__).parent.parent


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "workplatform", "up"],
            cwd=tmp_path,
            env={**os.environ, "PORT": str(port), "DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"Error: port {port} on 127.0.0.1 is in use by pid {os.getpid()} (" in ended.stderr
    assert not (tmp_path / "data" / "valkey").exists()
    assert list((tmp_path / "data" / "run").iterdir()) == []


def test_a_port_that_becomes_free_in_time_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(port=other.getsockname()[1])
        with pytest.raises(AlreadyRunningError):
            check_port(settings, patience=timedelta(milliseconds=100))
    check_port(settings)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:4002"), ("0.0.0.0", "http://127.0.0.1:4002"), ("::", "http://[::1]:4002")],  # noqa: S104
)
def test_the_url_that_is_told_can_be_opened_on_this_machine(host: str, url: str) -> None:
    assert local_url(Settings(bind_host=host)) == url
