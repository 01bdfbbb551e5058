"""Syncing the append-only file: what was written gets to the disk, and no more often than it grows."""

import os
import signal
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.waiting import eventually
from workplatform import embedded, scheduler
from workplatform.bootstrap import build
from workplatform.settings import Settings
from workplatform.store.durability import Keeping
from workplatform.syncing import Syncer, syncing


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were synced, in that order; the disk is asked too."""
    sizes: list[int] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return sizes


def test_a_file_is_synced_if_it_has_grown(tmp_path: Path, synced: list[int]) -> None:
    log = tmp_path / "appendonly.aof.1.incr.aof"
    log.write_bytes(b"one")
    (tmp_path / "appendonly.aof.manifest").write_bytes(b"the server syncs this itself")
    syncer = Syncer(tmp_path)
    assert (syncer.sync(), syncer.sync()) == (1, 0)
    with log.open("ab") as end:
        end.write(b"two")
    assert (syncer.sync(), syncer.sync()) == (1, 0)
    assert synced == [3, 6]


def test_the_file_after_a_rewriting_is_synced_too(tmp_path: Path, synced: list[int]) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    folder = tmp_path / "valkey" / "appendonlydir"
    with embedded.running(settings), embedded.connect(settings) as client, syncing(folder):
        client.set("before", 1)
        eventually(lambda: synced)
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        (log,) = folder.glob("*.incr.aof")
        client.set("after", "x" * 5000)
        eventually(lambda: synced[-1] > 5000)
        assert synced[-1] == log.stat().st_size


def test_what_came_last_is_synced_at_the_end(tmp_path: Path, synced: list[int]) -> None:
    with syncing(tmp_path):
        (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(b"the last words")
    assert synced[-1] == len(b"the last words")


@pytest.mark.parametrize(
    ("others", "is_ours"),
    [({}, True), ({"durability": "always"}, False), ({"queue_type": "redis"}, False)],
    ids=["embedded", "the server syncs", "another's server"],
)
def test_only_the_embedded_server_is_synced_by_us(
    tmp_path: Path, synced: list[int], *, others: dict[str, str], is_ours: bool
) -> None:
    folder = tmp_path / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.1.incr.aof").write_bytes(b"written")
    with embedded.syncing_by_settings(Settings.model_validate({"data_dir": tmp_path, **others})):
        pass
    assert bool(synced) == is_ours


def test_the_scheduler_syncs_and_the_doctor_knows_it(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: dict[int, object] = {}
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.update({number: handler}))
    settings = Settings.model_validate({"data_dir": tmp_path})
    with embedded.running(settings), embedded.connect(settings) as client:
        platform = build(settings)
        thread = threading.Thread(target=scheduler.run, args=(platform,))
        thread.start()
        client.set("written", "x" * 5000)
        eventually(lambda: synced and synced[-1] > 5000)
        assert embedded.facts(settings).keeping is Keeping.WITHIN_A_SECOND
        stop = handlers[signal.SIGTERM]
        assert callable(stop)
        stop(signal.SIGTERM, None)
        thread.join()


def test_a_disk_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def fail(fd: int) -> None:
        tries.append(fd)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(b"written")
    with capture_logs() as logs, syncing(tmp_path):
        eventually(lambda: len(tries) > 1)
    assert {entry["event"] for entry in logs} == {"sync_failed"}
    assert "Input/output error" in logs[0]["error"]


def test_before_the_server_has_begun_there_is_nothing_to_sync(tmp_path: Path) -> None:
    assert Syncer(tmp_path / "appendonlydir").sync() == 0
