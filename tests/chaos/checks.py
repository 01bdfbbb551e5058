"""What has to be true after any storm, whatever the platform says: files, callbacks, records, events, and fsck."""

import json
from collections import Counter
from contextlib import closing

import requests

from tests.chaos.storm import Accepted, Aftermath
from tests.running import Up
from tests.waiting import eventually
from workplatform.checkup import checkup
from workplatform.embedded import address
from workplatform.settings import Settings, load
from workplatform.store.connection import Connector
from workplatform.store.events import EventLog

_ENDINGS = {"write": {"completed"}, "later": {"completed"}, "fail": {"failed"}, "cancel": {"completed", "cancelled"}}


def check(after: Aftermath) -> None:
    """Check every job, and the platform as a whole."""
    settings = load(after.up.environ, env_file=after.up.folder / "none").settings
    assert len({job.id for job in after.accepted}) == len(after.accepted), "each key got a job of its own"
    statuses = {job.id: status_of(after.up, job) for job in after.accepted}
    for job in after.accepted:
        check_job(after, job, statuses[job.id])
    check_listing(after)
    check_callbacks(after, statuses)
    check_events(settings, statuses)
    eventually(lambda: leftovers(after.up) == [], within_s=60)
    with checkup(settings) as survey:
        assert [difference.sentence for difference in survey.differences()] == []


def status_of(up: Up, job: Accepted) -> str:
    """Return how a job has ended."""
    document = requests.get(f"{up.url}/api/jobs/{job.id}", timeout=10).json()
    assert document["attempts"] >= 1 or document["status"] == "cancelled", document
    return str(document["status"])


def check_job(after: Aftermath, job: Accepted, status: str) -> None:
    """Check that a job ended as it had to, and its file is whole or not there."""
    assert status in _ENDINGS[job.kind], (job, status)
    if job.is_cancelled:
        assert status == "cancelled", job
    path = after.up.folder / "out" / f"{job.number}.txt"
    if status == "completed":
        assert path.read_text() == str(job.number)
    elif status == "failed":
        assert not path.exists()


def check_listing(after: Aftermath) -> None:
    """Check that the counts are those of the jobs that were accepted, and no other exists."""
    listed = requests.get(f"{after.up.url}/api/jobs", params={"type": "scribble", "limit": "1"}, timeout=10).json()
    assert listed["total"] == len(after.accepted)


def check_callbacks(after: Aftermath, statuses: dict[str, str]) -> None:
    """Check that each ending was told at least once, to the right address, as it was."""
    told: dict[str, set[str]] = {}
    for request in after.receiver.requests:
        body = json.loads(request.body)
        told.setdefault(body["jobId"], set()).add(f"{request.line.split()[1]} {body['status']}")
    expected = {job.id: {f"/{job.number} {statuses[job.id]}"} for job in after.accepted if job.number % 5 == 0}
    assert told == expected


def check_events(settings: Settings, statuses: dict[str, str]) -> None:
    """Check that each job's end was told once."""
    with closing(Connector(address(settings))) as connector:
        events = EventLog(connector, prefix=settings.key_prefix).after("0-0", limit=100_000)
    ended = Counter(
        (event.job_id, event.status) for event in events if event.status in ("completed", "failed", "cancelled")
    )
    assert {key: number for key, number in ended.items() if key[0] in statuses} == dict.fromkeys(statuses.items(), 1)


def leftovers(up: Up) -> list[str]:
    """Return temporaries, journals and scratch folders that are still there."""
    data = up.folder / "data"
    found = [*up.folder.rglob(".job_*.part"), *data.glob("run/attempts/*"), *data.glob("work/*")]
    return [str(path) for path in found]
