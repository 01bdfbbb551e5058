"""What has to be true after any storm, whatever the platform says: files, callbacks, records, events, and fsck."""

import json
from collections import Counter
from contextlib import closing

from tests.chaos.storm import MOST_AT_A_TIME, Accepted, Aftermath, ask
from tests.running import Up
from tests.waiting import eventually
from workplatform.checkup import checkup
from workplatform.embedded import address
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog
from workplatform.store.keys import EVENTS_KEPT
from workplatform.store.records import StoredEvent

_FINAL = ("completed", "failed", "cancelled")
_ENDINGS = {
    **{kind: {"completed"} for kind in ("write", "later", "-first", "-second")},
    "fail": {"failed"},
    "cancel": {"completed", "cancelled"},
}


def check(after: Aftermath) -> None:
    """Check every job, and the platform as a whole."""
    settings = load(after.up.environ, env_file=after.up.folder / "none").settings
    assert len({job.id for job in after.accepted}) == len(after.accepted), "each key got a job of its own"
    statuses = {job.id: status_of(after.up, job) for job in after.accepted}
    for job in after.accepted:
        check_job(after, job, statuses[job.id])
    check_listing(after)
    check_callbacks(after, statuses)
    events = all_events(settings)
    check_endings(events, statuses)
    check_limits(events, after.accepted)
    eventually(lambda: leftovers(after.up) == [], within_s=60)
    with checkup(settings) as survey:
        assert [difference.sentence for difference in survey.differences()] == []


def status_of(up: Up, job: Accepted) -> str:
    """Return how a job has ended."""
    document = ask(up, f"/api/jobs/{job.id}").json()
    assert document["attempts"] >= 1 or document["status"] == "cancelled", document
    assert document["apiKey"] == job.by
    return str(document["status"])


def check_job(after: Aftermath, job: Accepted, status: str) -> None:
    """Check that a job ended as it had to, and its file is whole or not there."""
    assert status in _ENDINGS[job.kind], (job, status)
    if job.is_cancelled:
        assert status == "cancelled", job
    path = after.up.folder / job.path
    if status == "completed":
        assert path.read_text() == job.text
    elif status == "failed":
        assert not path.exists()


def check_listing(after: Aftermath) -> None:
    """Check that the counts are those of the jobs that were accepted, and no other exists."""
    listed = ask(after.up, "/api/jobs", type="scribble", limit="1").json()
    assert listed["total"] == len(after.accepted)


def check_callbacks(after: Aftermath, statuses: dict[str, str]) -> None:
    """Check that each ending was told at least once, to the right address, as it was."""
    told: dict[str, set[str]] = {}
    for request in after.receiver.requests:
        body = json.loads(request.body)
        told.setdefault(body["jobId"], set()).add(f"{request.line.split()[1]} {body['status']}")
    hooked = [job for job in after.accepted if job.number % 5 == 0]
    assert told == {job.id: {f"/{job.number} {statuses[job.id]}"} for job in hooked}


def all_events(settings: Settings) -> list[StoredEvent]:
    """Return what is kept of the stream."""
    with closing(Connector(address(settings))) as connector:
        return EventLog(connector, prefix=settings.key_prefix).after("0-0", limit=100_000)


def check_endings(events: list[StoredEvent], statuses: dict[str, str]) -> None:
    """Check that each job's end was told once; of what has been trimmed nothing is known."""
    told = [event for event in events if event.job_id in statuses]
    ended = Counter((event.job_id, event.status) for event in told if event.status in _FINAL)
    whole = len(events) < EVENTS_KEPT
    expected = statuses if whole else {event.job_id: statuses[event.job_id] for event in told}
    assert ended == dict.fromkeys(expected.items(), 1)


def check_limits(events: list[StoredEvent], accepted: list[Accepted]) -> None:
    """Check that at no moment more jobs ran than the limits of their type, API key and concurrencyKey allow."""
    jobs, running = {job.id: job for job in accepted}, set[str]()
    for event in events:
        if (job := jobs.get(event.job_id)) is None:
            continue
        running.discard(job.id)
        if event.status == "running":
            running.add(job.id)
            together = [jobs[job_id] for job_id in running]
            assert len(together) <= MOST_AT_A_TIME["type"]
            assert sum(other.by == "b" for other in together) <= MOST_AT_A_TIME["b"]
            assert sum(other.is_alone and other.by == job.by for other in together) <= MOST_AT_A_TIME["same"]


def leftovers(up: Up) -> list[str]:
    """Return temporaries, journals and scratch folders that are still there."""
    data = up.folder / "data"
    found = [*up.folder.rglob(".job_*.part"), *data.glob("run/attempts/*"), *data.glob("work/*")]
    return [str(path) for path in found]
