"""/api/events over real sockets: what a client hears, misses nothing of, and cannot spoil for others."""

import json
import socket
from collections.abc import Callable
from functools import partial

import pytest
import requests

from tests.api.reading import Reader
from tests.api.running import Running
from tests.builders import a_claimant, completed
from tests.waiting import eventually
from workplatform.bootstrap import Platform
from workplatform.store.records import Beat, Grant

LEASE = a_claimant().lease
STEPS = 1200  # of 8 kB each: more than the sockets between the two hold
Listen = Callable[..., Reader]


@pytest.fixture
def reader(api: Running, listen: Listen) -> Reader:
    """A client that hears everything."""
    return listen(api.url)


def claim(workers: Platform, job_id: str) -> int:
    """Start a job as a worker would; returns the fencing token."""
    grant = workers.store.claim(job_id, a_claimant(), claim="word", message=b"{}")
    assert isinstance(grant, Grant)
    return grant.fence


def run(workers: Platform, job_id: str) -> None:
    """Do all to a job that a worker would do, with one step on the way."""
    fence = claim(workers, job_id)
    workers.store.beat(LEASE, [Beat(job_id, fence, True, 50, "napping", "half\u2028way")])
    workers.store.settle(job_id, fence, completed(result=b'{"success":true}'))


WHOLE_LIFE = ["job:queued", "job:started", "job:progress", "job:completed"]


def test_a_plain_client_hears_the_life_of_a_job(api: Running, workers: Platform, reader: Reader) -> None:
    job_id = api.submit()
    run(workers, job_id)

    eventually(lambda: reader.told(job_id) == WHOLE_LIFE)
    events = [event for event in reader.events if event.data.get("jobId") == job_id]
    assert all(not event.name for event in events)
    assert events[2].data["progress"] == 50
    assert events[2].data["stage"] == "napping"
    assert events[2].data["message"] == "half\u2028way"
    assert events[3].data["result"] == {"success": True}
    assert {"event", "jobId", "type", "status", "progress", "message", "stage"} <= set(events[0].data)


def test_the_stream_is_not_cached_and_says_when_to_come_back(reader: Reader) -> None:
    assert reader.response.headers["Content-Type"].startswith("text/event-stream")
    assert reader.response.headers["Cache-Control"] == "no-store"
    assert reader.response.headers["X-Accel-Buffering"] == "no"
    assert reader.retry == "3000"


def test_named_events_carry_their_name(api: Running, listen: Listen) -> None:
    reader = listen(api.url, named="1")
    job_id = api.submit()
    eventually(lambda: reader.told(job_id))
    assert [event.name for event in reader.events if event.data.get("jobId") == job_id] == ["job:queued"]


def test_a_client_may_choose_types(api: Running, listen: Listen) -> None:
    naps, both = listen(api.url, type="nap"), listen(api.url, type="noop,nap")
    other, nap = api.submit(type="noop", payload={}), api.submit()
    eventually(lambda: naps.told(nap) and both.told(nap))
    assert both.told(other)
    assert not naps.told(other)


def test_a_watcher_is_first_told_how_the_job_stands(api: Running, workers: Platform, listen: Listen) -> None:
    job_id, other = api.submit(), api.submit()
    fence = claim(workers, job_id)
    watcher = listen(api.url, jobId=job_id)
    eventually(lambda: watcher.events)
    first = watcher.events[0]
    assert (first.data["event"], first.data["status"], first.data["attempts"]) == ("job:snapshot", "running", 1)

    workers.store.settle(job_id, fence, completed())
    run(workers, other)
    eventually(lambda: watcher.told(job_id)[-1] == "job:completed")
    assert watcher.told(job_id) == ["job:snapshot", "job:completed"]
    assert watcher.told(other) == []


def test_the_watcher_of_an_ended_job_needs_nothing_else(api: Running, workers: Platform, listen: Listen) -> None:
    job_id = api.submit()
    run(workers, job_id)
    watcher = listen(api.url, jobId=job_id)
    eventually(lambda: watcher.events)
    assert watcher.events[0].data["result"] == {"success": True}


def test_watching_a_job_that_does_not_exist_is_refused(api: Running) -> None:
    response = requests.get(f"{api.url}/api/events?jobId=job_nope", timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")
    assert requests.get(f"{api.url}/api/events?type=nope", timeout=10).status_code == 400
    many = ",".join(f"job_{number}" for number in range(101))
    assert requests.get(f"{api.url}/api/events?jobId={many}", timeout=10).status_code == 400


@pytest.mark.parametrize("by_header", [True, False])
def test_a_client_that_comes_back_hears_what_it_missed_once(
    api: Running, workers: Platform, by_header: bool, listen: Listen
) -> None:
    before = listen(api.url)
    first = api.submit()
    eventually(lambda: before.told(first))
    before.close()
    seen = before.events[-1].id

    missed = [api.submit() for _ in range(5)]
    for job_id in missed[:3]:
        run(workers, job_id)
    again = (
        listen(api.url, headers={"Last-Event-ID": seen}) if by_header else listen(api.url, lastEventId=seen, named="")
    )
    later = api.submit()
    eventually(lambda: again.told(later))

    assert again.told(first) == []
    for job_id in missed[:3]:
        assert again.told(job_id) == WHOLE_LIFE
    for job_id in missed[3:]:
        assert again.told(job_id) == ["job:queued"]
    ids = [tuple(map(int, event.id.split("-"))) for event in again.events]
    assert ids == sorted(set(ids))


def test_reconnecting_again_and_again_in_a_storm_loses_nothing_and_doubles_nothing(
    api: Running, listen: Listen
) -> None:
    reader = listen(api.url)
    wanted: list[str] = []
    heard: list[str] = []
    for _ in range(12):
        answer = requests.post(f"{api.url}/api/jobs", json=[{"type": "noop", "payload": {}}] * 40, timeout=10)
        wanted += [item["jobId"] for item in answer.json()]
        eventually(partial(len, reader.events))
        reader.close()
        heard += [event.data["jobId"] for event in reader.events]
        reader = listen(api.url, headers={"Last-Event-ID": reader.events[-1].id})
    eventually(lambda: len(heard) + len(reader.events) >= len(wanted))
    heard += [event.data["jobId"] for event in reader.events]
    assert sorted(heard) == sorted(wanted)


def test_a_client_from_before_what_is_kept_is_told_so(api: Running, workers: Platform, listen: Listen) -> None:
    api.submit()
    workers.connector.client.xtrim(f"{workers.settings.key_prefix}events", maxlen=1, approximate=False)
    for foreign in ("1-0", "99999999999999-0"):
        reader = listen(api.url, headers={"Last-Event-ID": foreign})
        eventually(partial(reader.named, "stream:reset"))
        assert reader.events[0].name == "stream:reset"
        job_id = api.submit()
        eventually(partial(reader.told, job_id))


@pytest.mark.parametrize(
    "rubbish", ["what?", "1_0-0", "+1-0", "-1-0", "1- 1", "1-", "-", "1-2-3", "٣-0", "9" * 20, "1-" + "9" * 20]
)
def test_an_id_that_is_none_of_ours_is_passed_over(api: Running, listen: Listen, rubbish: str) -> None:
    reader = listen(api.url, lastEventId=rubbish)
    job_id = api.submit()
    eventually(lambda: reader.told(job_id))
    assert reader.named("stream:reset") == []


def test_a_slow_client_loses_progress_but_no_ending_and_holds_nobody_up(
    api: Running, workers: Platform, reader: Reader
) -> None:
    with socket.create_connection(("127.0.0.1", api.settings.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in slow.recv(100)

        job_id, others = api.submit(), [api.submit() for _ in range(20)]
        fence = claim(workers, job_id)
        text = "x" * 8000
        for step in range(STEPS):
            workers.store.beat(LEASE, [Beat(job_id, fence, True, step % 100, f"{step}", text, ["log"])])
        workers.store.settle(job_id, fence, completed())
        for other in others:
            run(workers, other)
        # the fast client has everything long before the slow one reads on
        eventually(lambda: all("job:completed" in reader.told(other) for other in others), within_s=60)
        assert reader.told(job_id)[-1] == "job:completed"

        told = _read_until(slow, others[-1], "job:completed")
    stages = [event["stage"] for event in told if event["event"] == "job:progress" and event["jobId"] == job_id]
    assert 0 < len(stages) < STEPS
    assert stages[-1] == f"{STEPS - 1}"
    for other in (job_id, *others):
        events = [event["event"] for event in told if event["jobId"] == other]
        assert {"job:queued", "job:started", "job:completed"} <= set(events)
        assert events[-1] == "job:completed"


def _read_until(sock: socket.socket, job_id: str, name: str) -> list[dict[str, str]]:
    """Read a raw stream until an event comes; returns all events. Chunk sizes stand on lines of their own."""
    sock.settimeout(30)
    read = b""
    wanted = (job_id.encode(), f'"event":"{name}"'.encode())
    while not any(all(word in line for word in wanted) for line in read[-80_000:].split(b"\n")):
        read += sock.recv(65536)
    body = _unchunked(read.partition(b"\r\n\r\n")[2])
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line.endswith(b"}")]


def _unchunked(body: bytes) -> bytes:
    """Undo the chunked coding; what is cut off at the end is left out."""
    data = b""
    while b"\r\n" in body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        data, body = data + rest[:length], rest[length + 2 :]
    return data


def test_a_client_of_http_1_0_gets_the_bare_stream(api: Running) -> None:
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=20) as old:
        old.sendall(b"GET /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        read = b""
        while b"retry: 3000\n\n" not in read:
            read += old.recv(4096)
        job_id = api.submit()
        while job_id.encode() not in read:
            read += old.recv(4096)
    head, _, body = read.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body.startswith(b": connected\nretry: 3000\n\nid: ")


def test_one_connection_to_redis_serves_all_clients(api: Running, workers: Platform, listen: Listen) -> None:
    readers = [listen(api.url) for _ in range(25)]
    job_id = api.submit()
    eventually(lambda: all(reader.told(job_id) for reader in readers))
    clients = workers.connector.client.client_list()
    assert sum(client["cmd"] == "xread" for client in clients) == 1
    assert requests.get(f"{api.url}/api/stats", timeout=10).json()["streams"] >= 25


def test_the_reader_stops_with_its_last_client(api: Running, workers: Platform, listen: Listen) -> None:
    reader = listen(api.url)
    reader.close()

    def is_reading() -> bool:
        # whoever has left is noticed at the next event
        api.submit()
        return any("b" in client["flags"] for client in workers.connector.client.client_list())

    eventually(lambda: not is_reading(), within_s=30)
    with_another = listen(api.url)
    job_id = api.submit()
    eventually(lambda: with_another.told(job_id))
