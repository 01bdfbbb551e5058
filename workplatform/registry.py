"""Job types: what one is, how it is declared, and how they are found."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, get_type_hints

from workplatform.context import JobContext
from workplatform.errors import RegistryError
from workplatform.models import Payload, Result, WireModel
from workplatform.retry import RetryPolicy

P = TypeVar("P", bound=Payload)
R = TypeVar("R", bound=Result)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_MARK = "__job_type__"


@dataclass(frozen=True, slots=True)
class JobType:
    """One kind of work: its models, its handler, and how its jobs are run.

    `is_local_work` is False for types that only wait for others (the callbacks); those take no slot of
    MAX_CONCURRENT_JOBS. `preload` names modules that the children of `job.isolated` find already imported. Of the jobs
    with the same `series` word one runs at a time, and a newer one supersedes those that wait, or also a running one if
    its payload says so to `cancels_running`.
    """

    name: str
    queue: str
    concurrency: int
    priority: int
    time_limit: timedelta
    retry: RetryPolicy
    is_local_work: bool
    preload: tuple[str, ...]
    series: Callable[[Any], str] | None
    cancels_running: Callable[[Any], bool] | None
    payload_model: type[Payload]
    result_model: type[Result]
    handler: Callable[[Any, JobContext], Result]

    def series_of(self, payload: WireModel) -> str:
        """Return the series that a job with this payload belongs to, "" if to none."""
        return f"{self.name}:{self.series(payload)}" if self.series else ""

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (inspect.getdoc(self.handler) or self.name).splitlines()[0]


def job_type(  # noqa: PLR0913 - one declaration holds everything about a type
    name: str,
    *,
    queue: str,
    concurrency: int = 1,
    priority: int = 2,
    time_limit: timedelta = timedelta(hours=1),
    retry: RetryPolicy | None = None,
    is_local_work: bool = True,
    preload: tuple[str, ...] = (),
    series: Callable[[Any], str] | None = None,
    cancels_running: Callable[[Any], bool] | None = None,
) -> Callable[[Callable[[P, JobContext], R]], Callable[[P, JobContext], R]]:
    """Declare the decorated handler as a job type.

    `concurrency` is per worker process, `priority` the default from 0 (first) to 4 (last), `time_limit` bounds one
    attempt. Raises RegistryError, at import, if the declaration or the handler's signature is wrong.
    """

    def declare(handler: Callable[[P, JobContext], R]) -> Callable[[P, JobContext], R]:
        declared = JobType(
            name=name,
            queue=queue,
            concurrency=concurrency,
            priority=priority,
            time_limit=time_limit,
            retry=retry or RetryPolicy(),
            is_local_work=is_local_work,
            preload=preload,
            series=series,
            cancels_running=cancels_running,
            payload_model=_model(handler, "payload", Payload),
            result_model=_model(handler, "return", Result),
            handler=handler,
        )
        _check(declared)
        setattr(handler, _MARK, declared)
        return handler

    return declare


def type_of(handler: Callable[..., Any]) -> JobType:
    """Return the type that `@job_type` has made of a handler; raises AttributeError if it has made none."""
    declared: JobType = getattr(handler, _MARK)
    return declared


class Registry(Mapping[str, JobType]):
    """The job types of this process by name; immutable once built."""

    def __init__(self, job_types: Iterable[JobType]) -> None:
        self._by_name: dict[str, JobType] = {}
        for declared in job_types:
            twin = self._by_name.setdefault(declared.name, declared)
            if twin is not declared:
                raise RegistryError(
                    f"job type {declared.name!r} is declared twice, in {twin.handler.__module__} and in "
                    f"{declared.handler.__module__}: rename one"
                )

    def __getitem__(self, name: str) -> JobType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def queues(self) -> dict[str, list[JobType]]:
        """The job types served by each queue."""
        queues: dict[str, list[JobType]] = {}
        for declared in self.values():
            queues.setdefault(declared.queue, []).append(declared)
        return queues


def discover(packages: Iterable[str]) -> Registry:
    """Import every public module of the packages and collect the job types they declare.

    Raises RegistryError if a package cannot be imported, declares none, or repeats a name.
    """
    found: list[JobType] = []
    for package in packages:
        in_package = [declared for module in _modules(package) for declared in _declared_in(module)]
        if not in_package:
            raise RegistryError(f"package {package!r} declares no job type: use @job_type in one of its modules")
        found += in_package
    return Registry(found)


def preloads(declared: JobType) -> tuple[str, ...]:
    """Return the modules that children of a job type should find imported."""
    return (declared.handler.__module__, *declared.preload)


def _modules(package: str) -> Iterator[Any]:
    try:
        root = importlib.import_module(package)
    except ImportError as error:
        raise RegistryError(f"cannot import {package!r} of JOB_PACKAGES: {error}") from error
    yield root
    for info in pkgutil.iter_modules(getattr(root, "__path__", []), f"{package}."):
        if not info.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(info.name)


def _declared_in(module: Any) -> Iterator[JobType]:
    for member in vars(module).values():
        declared = getattr(member, _MARK, None)
        if isinstance(declared, JobType) and member.__module__ == module.__name__:
            yield declared


def _model(handler: Callable[..., Any], role: str, base: type[Any]) -> type[Any]:
    hint = get_type_hints(handler).get(role)
    if not (isinstance(hint, type) and issubclass(hint, base)):
        wanted = "its first argument must be `payload: <a Payload model>`"
        if role == "return":
            wanted = "it must be annotated to return a Result model"
        raise RegistryError(f"handler {handler.__qualname__} of {handler.__module__}: {wanted}")
    return hint


def _check(declared: JobType) -> None:
    problem = None
    if not _NAME.fullmatch(declared.name) or not _NAME.fullmatch(declared.queue):
        problem = "name and queue must be lower-case letters, digits, '-' or '_', starting with a letter"
    elif declared.concurrency < 1:
        problem = "concurrency must be at least 1"
    elif not 0 <= declared.priority <= 4:
        problem = "priority must be 0 (first) to 4 (last)"
    elif declared.time_limit <= timedelta(0):
        problem = "time_limit must be positive"
    elif list(inspect.signature(declared.handler).parameters) != ["payload", "job"]:
        problem = "the handler must take exactly (payload, job)"
    if problem:
        raise RegistryError(f"job type {declared.name!r} in {declared.handler.__module__}: {problem}")
