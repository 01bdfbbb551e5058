"""Asks whether what was deployed is well, with patience."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import requests

from workers._deploy_models import HealthCheck
from workplatform.context import JobContext
from workplatform.errors import HealthCheckError
from workplatform.outbound import failure_reason

_ONE_WITHIN: Final = timedelta(seconds=10)
_LEAST_S: Final = 1.0
_SLICE_S: Final = 0.2


def check_health(job: JobContext, check: HealthCheck, names: Mapping[str, str]) -> None:
    """Ask until the answer is right; raises HealthCheckError when the patience is over."""
    url = check.url
    for name, value in names.items():
        url = url.replace(f"{{{name}}}", value)
    ends = time.monotonic() + check.patience
    asked = 0
    while True:
        asked += 1
        within = timedelta(seconds=max(ends - time.monotonic(), _LEAST_S))
        answer = _ask(job, url, check.status, min(within, _ONE_WITHIN))
        if answer is None:
            job.log(f"{url} is well: {check.status} at request {asked}")
            return
        if asked == 1 or time.monotonic() >= ends:
            job.log(f"{url}: {answer}")
        if time.monotonic() >= ends:
            raise HealthCheckError(f"{url} was not well within {check.patience:g} s: {answer}")
        _wait(job, min(check.interval, max(ends - time.monotonic(), 0)))


def _ask(job: JobContext, url: str, status: int, within: timedelta) -> str | None:
    """Return what is wrong; None if nothing is."""
    try:
        with job.http(within=within) as session, session.get(url, allow_redirects=False, stream=True) as answer:
            return None if answer.status_code == status else f"it answered {answer.status_code}, not {status}"
    except requests.RequestException as error:
        return failure_reason(error)


def _wait(job: JobContext, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        job.check_cancelled()
        time.sleep(min(left, _SLICE_S))
