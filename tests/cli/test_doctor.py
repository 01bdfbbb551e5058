"""The doctor on a good machine, and on machines that lack something."""

import socket
from pathlib import Path

import pytest

from tests.running import free_port
from workplatform import embedded
from workplatform.cli.doctor import Finding, examine
from workplatform.settings import Settings


def findings(data_dir: Path, **others: object) -> dict[str, Finding]:
    """Return what the doctor finds, by subject; of several on one subject the worst."""
    settings = Settings.model_validate({"data_dir": data_dir, "allowed_roots": (), "port": free_port(), **others})
    order = ["ok", "warn", "fail"]
    worst: dict[str, Finding] = {}
    for finding in sorted(examine(settings), key=lambda found: order.index(found.verdict)):
        worst[finding.subject] = finding
    return worst


def test_what_pip_installs_is_enough(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert [f for f in found.values() if f.verdict == "fail"] == []
    assert found["ffmpeg encoders"].detail == "libx264, aac, libwebp"
    assert "embedded Valkey 9" in found["job store"].detail


def test_a_running_server_is_asked_for_its_version_and_policy(tmp_path: Path) -> None:
    with embedded.running(Settings(data_dir=tmp_path)):
        found = findings(tmp_path)
    assert found["job store"].detail.startswith("Valkey 9")
    assert found["eviction policy"] == Finding("ok", "eviction policy", "noeviction")


def test_a_server_that_evicts_fails_with_the_mend(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with embedded.running(settings), embedded.connect(settings) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        found = findings(tmp_path)
    assert found["eviction policy"].verdict == "fail"
    assert "CONFIG SET maxmemory-policy noeviction" in found["eviction policy"].mend


def test_a_redis_that_does_not_answer_fails(tmp_path: Path) -> None:
    found = findings(tmp_path, queue_type="redis", redis_url="redis://:secret@127.0.0.1:1")
    assert found["job store"].verdict == "fail"
    assert "secret" not in found["job store"].detail


@pytest.mark.parametrize("program", ["/bin/true", "/nowhere/ffmpeg"])
def test_an_ffmpeg_that_is_none_fails(tmp_path: Path, program: str) -> None:
    assert findings(tmp_path, ffmpeg_bin=program)["ffmpeg"].verdict == "fail"


def test_an_allowed_root_that_does_not_exist_fails_with_the_mend(tmp_path: Path) -> None:
    root = tmp_path / "media"
    found = findings(tmp_path / "data", allowed_roots=(root,))["allowed root"]
    assert found.verdict == "fail"
    assert f"mkdir -p {root}" in found.mend


def test_a_port_that_somebody_else_uses_fails(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert findings(tmp_path, port=port)[f"port {port}"].verdict == "fail"
