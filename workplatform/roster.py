"""The roster: the live workers as documents, and what they add up to by node and by queue."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from workplatform.store.workers import LiveWorker
from workplatform.wire import number, timestamp

Document = dict[str, Any]


def roster(workers: Sequence[LiveWorker], queues: Iterable[str]) -> Document:
    """Render the answer of GET /api/workers; `queues` are those of the known job types."""
    by_queue = {queue: _queue_document(queue, workers) for queue in sorted(queues)}
    return {
        "workers": [_worker_document(worker) for worker in workers],
        "nodes": [_node_document(node, members) for node, members in _by_node(workers).items()],
        "queues": by_queue,
        "unserved": [queue for queue, sums in by_queue.items() if not sums["workers"]],
    }


def _worker_document(worker: LiveWorker) -> Document:
    about = worker.about
    return {
        "id": worker.id,
        "name": about.name,
        "node": about.node,
        "host": about.host,
        "pid": about.pid,
        "version": about.version,
        "status": "draining" if about.is_draining else "ready",
        "queues": about.queues,
        "slots": about.slots,
        "cpuPercent": about.cpu_percent,
        "memoryBytes": about.memory_bytes,
        "load": about.load,
        "cores": about.cores,
        "freeScratchBytes": about.free_scratch_bytes,
        "jobs": [
            {
                "jobId": job.id,
                "type": job.type,
                "progress": number(job.progress),
                "stage": job.stage,
                "startedAt": timestamp(job.started_at),
            }
            for job in worker.jobs
        ],
        "startedAt": timestamp(worker.started_at),
        "seenAt": timestamp(worker.seen_at),
    }


def _by_node(workers: Sequence[LiveWorker]) -> Mapping[str, list[LiveWorker]]:
    in_order = sorted(workers, key=lambda worker: worker.about.node)
    return {node: list(members) for node, members in groupby(in_order, key=lambda worker: worker.about.node)}


def _node_document(node: str, workers: Sequence[LiveWorker]) -> Document:
    """Sum up what the workers of a node use; of its own figures, the newest announcement's count."""
    newest = max(workers, key=lambda worker: worker.seen_at).about
    return {
        "node": node,
        "hosts": sorted({worker.about.host for worker in workers}),
        "workers": len(workers),
        "queues": sorted({queue for worker in workers for queue in worker.about.queues}),
        "running": sum(len(worker.jobs) for worker in workers),
        "slots": sum(worker.about.slots for worker in workers),
        "maxConcurrentJobs": newest.node_slots,
        "cpuPercent": round(sum(worker.about.cpu_percent for worker in workers), 1),
        "memoryBytes": sum(worker.about.memory_bytes for worker in workers),
        "load": newest.load,
        "cores": newest.cores,
        "freeScratchBytes": min(worker.about.free_scratch_bytes for worker in workers),
    }


def _queue_document(queue: str, workers: Sequence[LiveWorker]) -> Document:
    """Sum up the workers that take jobs of a queue, and their slots; one with several queues counts in each."""
    serving = [worker.about for worker in workers if queue in worker.about.queues and not worker.about.is_draining]
    return {"workers": len(serving), "slots": sum(about.slots for about in serving)}
