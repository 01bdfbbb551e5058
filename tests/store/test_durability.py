"""What is acknowledged is on disk: by the server at once, or because it was waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import a_job
from workplatform import embedded
from workplatform.cli.doctor import Finding, examine
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector
from workplatform.store.durability import Keeping, keeping, proven
from workplatform.store.jobs import JobStore


@contextmanager
def configured(connector: Connector, **options: str) -> Iterator[None]:
    before = {name: str(connector.client.config_get(name)[name]) for name in options}
    _set(connector, options)
    try:
        yield
    finally:
        _set(connector, before)


def _set(connector: Connector, options: dict[str, str]) -> None:
    for name, value in options.items():
        connector.client.config_set(name, value)


@pytest.fixture(autouse=True)
def _somebody_elses(connector: Connector) -> Iterator[None]:
    """The embedded server syncs as one that most people run themselves."""
    with configured(connector, appendfsync="everysec"):
        yield


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"appendonly": "yes", "appendfsync": "always"}, Keeping.AT_ONCE),
        ({"appendonly": "yes", "appendfsync": "everysec"}, Keeping.ON_REQUEST),
        ({"appendonly": "yes", "appendfsync": "no"}, Keeping.UNSYNCED),
        ({"appendonly": "no"}, Keeping.NOT),
    ],
)
def test_how_a_server_keeps_what_it_writes_is_asked_of_it(
    connector: Connector, options: dict[str, str], expected: Keeping
) -> None:
    with configured(connector, **options):
        assert keeping(connector.client) is expected


def test_a_server_that_says_too_early_that_it_is_on_disk_is_found_out(connector: Connector) -> None:
    assert keeping(connector.client) is Keeping.ON_REQUEST
    assert proven(connector.client, prefix="test:") is Keeping.TOO_EARLY, "as Valkey 9.1 does"
    with configured(connector, appendfsync="always"):
        assert proven(connector.client, prefix="test:") is Keeping.AT_ONCE


def test_a_server_that_does_not_show_its_configuration_is_asked_otherwise(connector: Connector) -> None:
    client = connector.client
    client.acl_setuser("hosted", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
    try:
        client.execute_command("AUTH", "hosted", "any")
        assert keeping(client) is Keeping.ON_REQUEST
    finally:
        connector.client.connection_pool.disconnect()
        connector.client.acl_deluser("hosted")


@pytest.mark.parametrize("is_durable", [True, False])
def test_what_is_acknowledged_is_on_disk_where_that_is_promised(connector: Connector, is_durable: bool) -> None:
    store = JobStore(connector, prefix="test:", is_durable=is_durable)
    store.create([a_job()])
    calls = [str(entry["command"]) for entry in slow_log(connector, lambda: store.create([a_job()]))]
    assert any("WAITAOF" in call for call in calls) == is_durable


def test_of_many_that_are_cancelled_together_the_disk_is_waited_for_once(connector: Connector) -> None:
    store = JobStore(connector, prefix="test:", is_durable=True)
    jobs = [a_job() for _ in range(5)]
    store.create(jobs)

    def purge() -> None:
        for job in jobs:
            store.cancel(job.id, message="", callbacks=[], in_bulk=True)
        store.reach_disk()

    calls = [str(entry["command"]) for entry in slow_log(connector, purge)]
    assert sum("WAITAOF" in call for call in calls) == 1


def slow_log(connector: Connector, act: object) -> list[dict[str, object]]:
    """Return every command that the server ran meanwhile."""
    client = connector.client
    with configured(connector, **{"slowlog-log-slower-than": "0"}):
        client.slowlog_reset()
        assert callable(act)
        act()
        entries: list[dict[str, object]] = client.slowlog_get(50)
    return entries


def test_the_doctor_names_a_promise_that_is_not_kept(server: str, connector: Connector, tmp_path: Path) -> None:
    environ = {"QUEUE_TYPE": "redis", "REDIS_URL": server, "DATA_DIR": str(tmp_path), "DURABILITY": "always"}
    settings = load(environ, env_file=tmp_path / "none").settings
    with configured(connector, appendfsync="always"):
        assert durability(settings).verdict == "ok"
    for options, reason in (
        ({"appendonly": "no"}, "loses jobs"),
        ({"appendfsync": "no"}, "never syncs"),
        ({}, "answers before anything is on disk"),
    ):
        with configured(connector, **options):
            found = durability(settings)
        assert (found.verdict, reason in found.detail) == ("fail", True)


def durability(settings: Settings) -> Finding:
    """Return the doctor's finding."""
    return next(finding for finding in examine(settings) if finding.subject == "durability")


def test_a_promise_that_an_old_server_cannot_keep_is_told(tmp_path: Path) -> None:
    settings = load({"DURABILITY": "always"}, env_file=tmp_path / "none").settings
    old = embedded.ServerFacts("Redis 7.0.15", "noeviction", Keeping.WITHIN_A_SECOND)
    assert "WAITAOF" in embedded.broken_promise(settings, old)
    relaxed = settings.model_copy(update={"durability": "everysec"})
    assert embedded.broken_promise(relaxed, old) == ""
