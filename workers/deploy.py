"""The `deploy` job type: a commit of a git repository, fetched, built, checked, and taken back if that fails."""

import importlib
from datetime import timedelta

from workers._deploy_models import DeployPayload, DeployResult
from workplatform.context import JobContext
from workplatform.registry import job_type
from workplatform.retry import RetryPolicy


@job_type(
    "deploy",
    queue="deploy",
    concurrency=1,
    priority=2,
    time_limit=timedelta(hours=4),
    retry=RetryPolicy(max_retries=3, initial_delay=2000),
    preload=("workers._deploy_run",),
    series=lambda payload: payload.project_id,
    cancels_running=lambda payload: payload.supersede == "running",
)
def deploy(payload: DeployPayload, job: JobContext) -> DeployResult:
    """Deploy a commit of a git repository, with a way back."""
    done: DeployResult = importlib.import_module("workers._deploy_run").run_deploy(payload, job)
    return done
