"""Showing jobs as they run: bars on a terminal, a line per change elsewhere; always on standard error."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from workplatform.cli.client import Document
from workplatform.states import Status

_EXIT_CODES = {Status.COMPLETED.value: 0, Status.FAILED.value: 1, Status.CANCELLED.value: 9}


def show(changes: Iterable[Document], job_ids: Sequence[str]) -> dict[str, Document]:
    """Show the changes until they end; returns the jobs as they were last seen."""
    console = Console(stderr=True)
    return _bars(changes, job_ids, console) if console.is_terminal else _lines(changes, console)


def exit_code(jobs: Iterable[Document]) -> int:
    """Return 1 if any job failed, else 9 if any was cancelled, else 0."""
    codes = {_EXIT_CODES[job["status"]] for job in jobs}
    return 1 if 1 in codes else max(codes, default=0)


def _bars(changes: Iterable[Document], job_ids: Sequence[str], console: Console) -> dict[str, Document]:
    last: dict[str, Document] = {}
    columns = (
        TextColumn("{task.fields[job_type]:<10}", style="bold", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {
            job_id: bars.add_task("", total=100, job_type="", start=False) for job_id in job_ids
        }
        for change in changes:
            last[change["jobId"]] = change
            task = tasks[change["jobId"]]
            if change["status"] == Status.RUNNING and not bars.tasks[task].started:
                bars.start_task(task)
            bars.update(
                task,
                completed=_percent(change),
                description=describe(change),
                job_type=change["type"],
            )
            if change["status"] in _EXIT_CODES:
                bars.stop_task(task)
    return last


def _lines(changes: Iterable[Document], console: Console) -> dict[str, Document]:
    """Print a line when the words change or another tenth is done."""
    last: dict[str, Document] = {}
    said: dict[str, tuple[str, int]] = {}
    for change in changes:
        job_id = change["jobId"]
        last[job_id] = change
        now = (f"{change['status']} {change.get('stage') or ''}", int(_percent(change) // 10))
        if said.get(job_id) != now:
            said[job_id] = now
            text = f"{job_id} {change['type']} {_percent(change):.0f} % {describe(change)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    return last


def describe(change: Document) -> str:
    """Say in a few words how a job stands."""
    words = [change["status"]]
    if change["status"] == Status.RUNNING:
        stage, message = change.get("stage") or change["status"], change.get("message") or ""
        words = [message] if message.startswith(stage) else [stage, message]
    elif change["status"] == Status.FAILED:
        words.append(change.get("error") or "")
    elif change["status"] not in _EXIT_CODES:
        words.append((change.get("waitingReason") or "").replace("_", " "))
    return ": ".join(word for word in words if word)


def _percent(change: Document) -> float:
    done = change["status"] == Status.COMPLETED
    return 100.0 if done else float(change.get("progress") or 0)
