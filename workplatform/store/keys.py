"""Every key in Redis: name, type, meaning, lifetime. The Lua scripts spell the same names in `lua/_base.lua`.

| key (after KEY_PREFIX) | type | meaning | lifetime |
|---|--------|---|---|
| job:ID | hash | the record, the truth about a job; fields in `records.py` | RETENTION after end |
| logs:ID | stream | the job's log, one entry a line, at most LOG_LINES | with the record |
| deliveries:ID | list | jobs that tell a receiver about the job, oldest first, at most 200 | with the record |
| progress:ID | list | those of them that tell of its progress, at most 10 | with the record |
| attempts:ID | list | what each attempt has found: `STARTED_MS JSON`, at most 20 | with the record |
| index:TYPE:STATUS | zset | ids of the jobs of a type in a status; ordered by id | while in that status |
| types | set | every job type that ever had a job | for ever |
| QUEUE, QUEUE\\x06\\x16N | list | Celery's messages of a queue, for priority 0 and N; oldest right | until popped |
| queued:QUEUE:N | zset | queued jobs by sequence number: what the list above should hold | while so |
| standing:QUEUE:N | hash | of each API key how many jobs of it are in queued:QUEUE:N, if keys take turns | while so |
| backlog:QUEUE:N:KEY | list | messages of a key's queued jobs whose turn has not come; oldest right | while so |
| behind:QUEUE:N:KEY | zset | those jobs by sequence number: what the backlog should hold | while so |
| refills | set | backlogs to go on with, as JSON [QUEUE, N, KEY]: many of their jobs were cancelled | a tick |
| limits, limits:configured | hash | limits as set at run time and as settings name them, JSON by name | until changed |
| holding:LIMIT | zset | jobs that hold a limit; cancelled ones by when they let go at the latest (ms) | while they do |
| parked:LIMIT | zset | jobs that wait for a limit, by priority and turn | while they wait |
| woken:LIMIT | zset | jobs that a limit has let go on, not claimed yet, by when another one may (ms) | until claimed |
| rounds:LIMIT | hash | the turns of the API keys in the line of a limit | while jobs wait |
| bucket:LIMIT | string | the moment at which the bucket of a rate is full again (ms) | until then |
| offers | zset | limits that jobs wait for, by when to look whether there is room (ms) | while they wait |
| series:KEY | zset | jobs of which the newest counts, one at a time, by sequence number | while not final |
| holder:KEY | string | `ID FENCE` of the attempt that runs for a series | while it runs |
| suspects | zset | queued jobs whose message seems lost, by the moment that was noticed | seconds |
| sequence | string | the last sequence number given to a queued job | for ever |
| scheduled | zset | jobs that wait for a moment or for their series, by when to look (ms) | while they wait |
| codes:TYPE | set | error codes of the type's failed jobs | while there are such jobs |
| failures:TYPE:CODE | zset | failed jobs of a type with an error code, by the moment they ended (ms) | while failed |
| tagged:TAG | zset | failed jobs with a tag, by the moment they ended (ms) | while failed |
| alike:FINGERPRINT | zset | failed jobs whose errors are alike, by the moment they ended (ms) | while failed |
| error:FINGERPRINT | hash | type, code, message (the last), count, firstSeen, lastSeen | its last job's; see below |
| errors:lastSeen:TYPE | zset | fingerprints of a type's errors by the moment of the last one (ms) | as above |
| errors:count:TYPE | zset | the same by how many there were | as above |
| errors:idle | zset | fingerprints without a failed job, by the moment that was retried (ms) | as above |
| children:ID | zset | jobs that wait for this one to end | until it has told them |
| releasing | zset | jobs that have ended and still have to tell some of those; 1, 2, 3: how they ended | seconds |
| doomed | zset | jobs that have to end with their parent, by the moment it did (ms) | until ended |
| group:GROUP | hash | a flow or batch (`flow:ID`, `batch:ID`): spec, createdAt, finishedAt, work | its last job's |
| members:GROUP:STATUS | zset | its jobs in a status, by the number of their coming there | while in that status |
| flows | zset | ids of all flows, ordered by id | its last job's |
| batches | zset | ids of batches, by a number that was the next when their first job was made | its last job's |
| group-endings | zset | groups whose end is to be told, by that moment (ms) | until told |
| group-work | zset | groups that are being cancelled or retried, since when (ms) | until done |
| retry:ID | hash | a retry of many jobs; fields in `retries.py` | 30 days after its end |
| retrying | zset | retries that go on, by the moment they began (ms) | until they end |
| retries | zset | the same for all | 30 days |
| limited | zset | jobs that have to begin or to end in time, by that moment (ms) | until they do |
| unique:TYPE:KEY | string | id of the active job with that uniqueKey | while it is active |
| idempotency:NAME | hash | fingerprint of a request, what it created and what it was told | 24 h |
| leases | zset | running jobs by the end of their lease (ms) | while running |
| finished:TYPE:STATUS | zset | final jobs of a type in a status by the moment they ended (ms) | RETENTION after end |
| finished | zset | what those before version 2 of the record had instead of these; sweeping moves it | until moved |
| expiring | zset | removed jobs whose files are to go too, by when to look (ms) | until they are gone |
| events | stream | what happened, newest EVENTS_KEPT entries | trimmed |
| slots:NODE | set | running jobs that take one of the node's MAX_CONCURRENT_JOBS | while running |
| slot-queue:NODE | zset | queues refused a slot on the node, by the moment they asked first | seconds |
| slot-queue:NODE:seen | zset | the same queues, by the moment they asked last | seconds |
| serving | zset | `QUEUE/WORKER` by the moment its announcement expires (ms) | refreshed |
| rules | hash | what claims and submissions have to mind; fields in `lua/_rules.lua` | until changed |
| paused | set | queues that the release before has paused; sweeping brings them to the rules | until resumed |
| schedule:NAME | hash | a schedule: spec, revision, by, nextAt, createdAt, lastAt, lastJob, fires | until removed |
| schedules | zset | names of all schedules by when they fire next (ms), +inf if paused | until removed |
| fires:NAME | list | what became of a schedule's last 50 fires, JSON, newest first | with the schedule |
| workers | zset | ids of workers, draining ones too, by the moment their announcement expires (ms) | refreshed |
| worker:ID | hash | what a worker says about itself and the attempts it runs | expires |

A group that no job has ever been of, as all of a batch had their like, goes a day after it was told of.

A group of errors that are alike goes when retention removes its last failed job, or as long as a failed job is kept
after its last one was retried.

All moments are milliseconds of Redis's own clock, the only clock that counts.
"""

from typing import Final

EVENTS_KEPT: Final = 20_000
JOB_MARK: Final = "<job>"  # stands for the job's id in a message that is written for many
LOG_LINES: Final = 2_000
WINDOW: Final = 4  # jobs of an API key that stand in a shared lane's list at a time
# Of a record: 1 is that of records without a version, whose ends are in `finished` and whose failures are not indexed.
SCHEMA_VERSION: Final = 2
PRIORITIES: Final = (0, 1, 2, 3, 4)


class Keys:
    """Names of the keys that Python reads by itself."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.events = f"{prefix}events"
        self.types = f"{prefix}types"

    def job(self, job_id: str) -> str:
        """Return the record's key."""
        return f"{self.prefix}job:{job_id}"

    def queued(self, queue: str, priority: int) -> str:
        """Return the key of a queue's queued jobs of a priority."""
        return f"{self.prefix}queued:{queue}:{priority}"

    def standing(self, queue: str, priority: int) -> str:
        """Return the key of how many jobs of each API key stand in a shared lane."""
        return f"{self.prefix}standing:{queue}:{priority}"

    def behind(self, queue: str, priority: int, by: str) -> str:
        """Return the key of an API key's queued jobs whose turn in a shared lane has not come."""
        return f"{self.prefix}behind:{queue}:{priority}:{by}"

    def series(self, series: str) -> str:
        """Return the key of a series of jobs."""
        return f"{self.prefix}series:{series}"

    def logs(self, job_id: str) -> str:
        """Return the key of the job's log."""
        return f"{self.prefix}logs:{job_id}"

    def schedule(self, name: str) -> str:
        """Return the key of a schedule."""
        return f"{self.prefix}schedule:{name}"

    def fires(self, name: str) -> str:
        """Return the key of a schedule's history."""
        return f"{self.prefix}fires:{name}"

    def members(self, group: str, status: str) -> str:
        """Return the key of the jobs of a flow or batch in a status."""
        return f"{self.prefix}members:{group}:{status}"

    def retry(self, name: str) -> str:
        """Return the key of a retry of many jobs."""
        return f"{self.prefix}retry:{name}"

    @property
    def retrying(self) -> str:
        """Return the key of the retries that go on."""
        return f"{self.prefix}retrying"

    @property
    def retries(self) -> str:
        """Return the key of the latest retries."""
        return f"{self.prefix}retries"

    def in_status(self, job_type: str, status: str) -> str:
        """Return the key of the jobs of a type in a status."""
        return f"{self.prefix}index:{job_type}:{status}"

    @property
    def expiring(self) -> str:
        """Return the key of the removed jobs whose files are to go."""
        return f"{self.prefix}expiring"

    @property
    def schedules(self) -> str:
        """Return the key of the names of all schedules."""
        return f"{self.prefix}schedules"
