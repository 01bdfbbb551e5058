"""What a million finished jobs cost: time to submit, claim, settle and list against a thousand, and bytes of memory.

    python -m bench.million [--jobs 1000000] [--rounds 5]

Two embedded servers with the same few real jobs, of which one gets as many copies of them as asked for, made by a
script inside the server. A copy has every key and index entry that the real one has. Then both are measured in turns.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bench._table import print_table
from workplatform import embedded
from workplatform.bootstrap import Platform, build
from workplatform.fingerprints import kept_error
from workplatform.ids import new_job_id
from workplatform.settings import load
from workplatform.states import Event, Status
from workplatform.store.failures import FailureFilter, Place
from workplatform.store.records import Claimant, Grant, NewJob, Settlement

SMALL = 1000
REAL = 100
PER_CALL = 2000
CHUNKS = 10
PER_CHUNK = 20
FAILED_EVERY = 20
# Copies jobs with all that is kept of each: ARGV: prefix, then pairs of the job to copy and the copy's id.
_COPY = """
local P = ARGV[1]
for at = 2, #ARGV, 2 do
  local old, new = ARGV[at], ARGV[at + 1]
  local flat = redis.call('HGETALL', P .. 'job:' .. old)
  local fields = {}
  for field = 1, #flat, 2 do fields[flat[field]] = flat[field + 1] end
  redis.call('HSET', P .. 'job:' .. new, unpack(flat))
  redis.call('ZADD', P .. 'index:' .. fields.type .. ':' .. fields.status, 0, new)
  redis.call('ZADD', P .. 'finished:' .. fields.type .. ':' .. fields.status, fields.finishedAt, new)
  if fields.status == 'failed' then
    local error = cjson.decode(fields.error)
    redis.call('ZADD', P .. 'failures:' .. fields.type .. ':' .. error.code, fields.finishedAt, new)
    redis.call('ZADD', P .. 'alike:' .. error.fingerprint, fields.finishedAt, new)
  end
end
return redis.status_reply('OK')
"""


Operation = Callable[[int], Any]


@dataclass(frozen=True)
class Cost:
    """What an operation takes: seconds in all, and seconds of the server's CPU."""

    time_s: float
    server_s: float


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two platforms, and how many finished jobs it has to begin with."""

    platform: Platform
    client: redis.Redis
    size: int

    def cost(self, numbers: Sequence[int], operation: Operation) -> Cost:
        """Repeat an operation; returns the median time, and the mean of the server's CPU time."""
        taken, server_before = list[float](), self._server_s()
        for number in numbers:
            began = time.perf_counter()
            operation(number)
            taken.append(time.perf_counter() - began)
        return Cost(statistics.median(taken), (self._server_s() - server_before) / len(taken))

    def _server_s(self) -> float:
        """Return the time on a CPU that the server's main thread has had, to the nanosecond."""
        pid = self.client.info("server")["process_id"]
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9

    def used_bytes(self) -> int:
        """Return what the server's data takes."""
        return int(self.client.info("memory")["used_memory"])


def main() -> None:
    """Run the bench and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        _side(Path(folder) / "small", SMALL) as small,
        _side(Path(folder) / "large", options.jobs) as large,
    ):
        cost = _fill(large) / (large.size - REAL)
        _fill(small)
        print(f"{large.size:,} finished jobs take {large.used_bytes() / 1e6:,.0f} MB: {cost:,.0f} bytes each\n")
        _print_parts(large)
        print()
        _compare(small, large, options.rounds)


@contextmanager
def _side(folder: Path, size: int) -> Iterator[Side]:
    folder.mkdir()
    environ = {"DATA_DIR": str(folder / "data"), "ALLOWED_ROOTS": str(folder), "LOG_LEVEL": "warning"}
    settings = load(environ, env_file=folder / "none").settings
    with embedded.running(settings) as address:
        platform = build(settings)
        yield Side(platform, redis.Redis.from_url(address), size)
        platform.close()


def _fill(side: Side) -> int:
    """Finish some real jobs, and copy them; returns the bytes that the copies take."""
    real = [_finished(side.platform, number) for number in range(REAL)]
    side.client.config_set("appendonly", "no")
    before = side.used_bytes()
    copy = side.client.register_script(_COPY)
    for begin in range(REAL, side.size, PER_CALL):
        words: list[str] = []
        for number in range(begin, min(begin + PER_CALL, side.size)):
            words += (real[number % REAL], new_job_id())
        copy(args=["wp:", *words])
    side.client.script_flush()  # the copying has left an interpreter whose collector has much to look at
    taken = side.used_bytes() - before
    side.client.config_set("appendonly", "yes")
    while any(side.client.info("persistence")[f"aof_rewrite_{state}"] for state in ("in_progress", "scheduled")):
        time.sleep(0.1)
    return taken


def _prepared(platform: Platform, number: int) -> NewJob:
    payload = {"videoPath": f"media/films/{number:06}.mp4", "outputPath": f"data/thumbnails/{number:06}.webp"}
    return platform.service.prepare({"type": "thumbnail", "payload": {**payload, "timestamp": "50%", "width": 320}})


def _claimed(platform: Platform, job: NewJob) -> Grant:
    node = "media-1"
    claimant = Claimant(f"thumbnail@{node}-4711", node, 0, platform.settings.lease)
    grant = platform.store.claim(job.id, claimant, claim=f"{'0123456789abcdef' * 2}.1234", message=job.message)
    if not isinstance(grant, Grant):
        raise SystemExit(f"a job was not granted: {grant}")
    return grant


def _completed(number: int) -> Settlement:
    path = f"data/thumbnails/{number:06}.webp"
    result = (
        f'{{"success":true,"outputPath":"{path}","size":20614,"width":320,"height":180,"format":"webp",'
        '"timestamp":5.966666666666667,"clamped":false,"blurhash":"L~KUvI,$bW*ZxbfgjZnTa$WVa}bH"}'
    )
    outputs = f'[{{"uri":"{path}","directory":false}}]'.encode()
    message = "frame at 5.96667 s, 320x180"
    return Settlement(Status.COMPLETED, Event.COMPLETED, "attempt", message, result=result.encode(), outputs=outputs)


def _failed(number: int) -> Settlement:
    message = f"there is no file media/films/{number:06}.mp4"
    error = kept_error("thumbnail", {"code": "input_not_found", "message": message, "retryable": False}, {})
    return Settlement(Status.FAILED, Event.FAILED, "attempt", message, error=error)


def _finished(platform: Platform, number: int) -> str:
    """Take a job through its whole life; returns its id."""
    job = _prepared(platform, number)
    platform.service.create([job])
    _pop(platform, job)
    grant = _claimed(platform, job)
    ending = _failed(number) if number % FAILED_EVERY == 0 else _completed(number)
    platform.store.settle(job.id, grant.fence, ending)
    return job.id


def _pop(platform: Platform, job: NewJob) -> None:
    platform.connector.client.rpop(f"wp:{job.queue}\x06\x16{job.priority}" if job.priority else f"wp:{job.queue}")


def _print_parts(side: Side) -> None:
    """Tell where the bytes of a completed job go."""
    client: Any = side.client
    job = client.zrange("wp:index:thumbnail:completed", 0, 0)[0].decode()
    record = client.memory_usage(f"wp:job:{job}")
    text = sum(len(field) + len(value) for field, value in client.hgetall(f"wp:job:{job}").items())
    number = client.zcard("wp:index:thumbnail:completed")
    indexes = {name: client.memory_usage(f"wp:{name}:thumbnail:completed", samples=0) for name in ("index", "finished")}
    rows = [
        ["the record", f"{record}", f"{text} bytes of text, as {client.object('encoding', f'wp:job:{job}').decode()}"]
    ]
    rows += [[f"in {name}", f"{size / number:.0f}", ""] for name, size in indexes.items()]
    print_table(["of a completed job", "bytes", ""], rows)


def _compare(small: Side, large: Side, rounds: int) -> None:
    costs: dict[str, list[tuple[Cost, Cost]]] = {}
    for number in range(rounds):
        operations = [_operations(side) for side in (small, large)]
        for name in operations[0]:
            for chunk in range(CHUNKS):
                pair = [
                    (side, side.cost(range(chunk * PER_CHUNK, (chunk + 1) * PER_CHUNK), found[name]))
                    for side, found in list(zip((small, large), operations, strict=True))[:: 1 if chunk % 2 else -1]
                ]
                if number:  # the first round warms up
                    by_side = dict(pair)
                    costs.setdefault(name, []).append((by_side[small], by_side[large]))
    rows = []
    for name, pairs in costs.items():
        cells = [name]
        for what in ("time_s", "server_s"):
            values = [(getattr(one, what), getattr(other, what)) for one, other in pairs]
            medians = [statistics.median(column) for column in zip(*values, strict=True)]
            ratio = statistics.median(other / one for one, other in values)
            cells += [f"{median * 1e6:,.0f}" for median in medians] + [f"{ratio:.2f}"]
        rows.append(cells)
    sizes = [f"{small.size:,}", f"{large.size:,}", "ratio"]
    print_table(["microseconds: in all, and of the server's CPU", *sizes, *sizes], rows)


def _operations(side: Side) -> dict[str, Operation]:
    """Return what is measured, in the order of a job's life; each is called with the number of a job."""
    platform, store, service = side.platform, side.platform.store, side.platform.service
    jobs = [_prepared(platform, number) for number in range(CHUNKS * PER_CHUNK)]
    grants: dict[int, Grant] = {}
    wanted = FailureFilter(code="input_not_found")

    def claim(number: int) -> None:
        _pop(platform, jobs[number])
        grants[number] = _claimed(platform, jobs[number])

    def settle(number: int) -> None:
        store.settle(jobs[number].id, grants[number].fence, _completed(number))

    return {
        "submit": lambda number: service.create([jobs[number]]),
        "claim": claim,
        "settle": settle,
        "show one": lambda number: service.get(jobs[number].id),
        "list 20": lambda _: service.list(),
        "list 20 completed": lambda _: service.list(job_type="thumbnail", status="completed"),
        "search 20 failed": lambda _: store.failures.page(wanted, limit=20, below=Place()),
        "figures": lambda _: service.stats(),
        "sweep nothing": lambda _: platform.sweeping.tick(),
    }


if __name__ == "__main__":
    main()
