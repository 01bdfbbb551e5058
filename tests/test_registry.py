"""Declarations of job types: what is right is found, what is wrong is refused at import with the mend."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests import jobs
from workplatform.context import JobContext
from workplatform.errors import RegistryError
from workplatform.models import Payload, Result
from workplatform.registry import Registry, discover, job_type


class Some(Payload):
    """A payload."""


def right(payload: Some, job: JobContext) -> Result:  # noqa: ARG001
    """Say what it does.

    And more.
    """
    return Result()


def test_the_types_that_come_with_the_platform_are_found() -> None:
    registry = discover(["workers"])
    assert {"thumbnail", "webp", "hls", "http"} <= set(registry)
    assert {name: registry[name].priority for name in ("thumbnail", "webp", "hls")} == {
        "thumbnail": 1,
        "webp": 1,
        "hls": 3,
    }
    assert {name: registry[name].concurrency for name in ("thumbnail", "webp", "hls")} == {
        "thumbnail": 3,
        "webp": 3,
        "hls": 1,
    }


def test_a_users_package_adds_its_own_types() -> None:
    registry = discover(["workers", "tests.jobs"])
    assert registry["nap"].handler is jobs.nap
    assert {declared.name for declared in registry.queues["flaky"]} == {"flaky", "broken"}


def test_a_declaration_keeps_what_it_says() -> None:
    declared = job_type("some", queue="line", concurrency=2, priority=4)(right).__job_type__  # type: ignore[attr-defined]
    assert (declared.name, declared.queue, declared.concurrency, declared.priority) == ("some", "line", 2, 4)
    assert (declared.payload_model, declared.result_model, declared.summary) == (Some, Result, "Say what it does.")


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ({"name": "Bad Name"}, "lower-case"),
        ({"queue": "job:1"}, "lower-case"),
        ({"concurrency": 0}, "at least 1"),
        ({"priority": 5}, "0 \\(first\\) to 4 \\(last\\)"),
        ({"time_limit": timedelta(0)}, "positive"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], mend: str) -> None:
    with pytest.raises(RegistryError, match=mend):
        job_type(**{"name": "some", "queue": "some", **options})(right)


def no_hints(payload, job):  # type: ignore[no-untyped-def]
    """Lack annotations."""


def no_result(payload: Some, job: JobContext) -> None:
    """Return nothing."""


def extra(payload: Some, job: JobContext, more: int = 0) -> Result:  # noqa: ARG001
    """Want more."""
    return Result()


@pytest.mark.parametrize(("handler", "mend"), [(no_hints, "payload"), (no_result, "Result"), (extra, "exactly")])
def test_a_wrong_handler_is_refused(handler: Callable[..., Any], mend: str) -> None:
    with pytest.raises(RegistryError, match=mend):
        job_type("some", queue="some")(handler)


def test_two_types_of_one_name_are_refused() -> None:
    first = job_type("some", queue="a")(right).__job_type__  # type: ignore[attr-defined]
    second = job_type("some", queue="b")(right).__job_type__  # type: ignore[attr-defined]
    with pytest.raises(RegistryError, match="declared twice"):
        Registry([first, second])


def test_a_package_that_is_not_there_or_declares_nothing_is_named() -> None:
    with pytest.raises(RegistryError, match="no_such_package"):
        discover(["no_such_package"])
    with pytest.raises(RegistryError, match="declares no job type"):
        discover(["tests.waiting"])
