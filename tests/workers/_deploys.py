"""A project that the tests deploy, as a worker would."""

from pathlib import Path
from typing import Any

from workers.deploy import deploy
from workplatform.children import ChildPool
from workplatform.secretfiles import no_secret
from workplatform.testing import InlineRun, inline_job


class Project:
    """A project that deploys from the repository `repo` into the folder `site`."""

    def __init__(self, root: Path, children: ChildPool) -> None:
        self.root = root
        self.site = root / "site"
        self.secrets: dict[str, str] = {}
        self.lines: list[str] = []
        self.stages: list[str] = []
        self.run: InlineRun | None = None
        self._children = children
        self._jobs = 0
        self._attempt = 1

    def deploy(self, **more: Any) -> dict[str, Any]:
        """Deploy by a new job; returns the result as the wire has it."""
        self._jobs, self._attempt = self._jobs + 1, 1
        return self._deploy(more)

    def deploy_again(self, *, costs: int = 1, **more: Any) -> dict[str, Any]:
        """Deploy by the next attempt of the last job; if its worker was stopped, that `costs` none."""
        self._attempt += costs
        return self._deploy(more)

    def _deploy(self, more: dict[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = {"projectId": "p", "directory": "site"}
        if not more.get("rollback"):
            payload["repoUrl"] = "repo"
            if not {"branch", "commit", "tag"} & more.keys():
                payload["branch"] = "main"
        job_id, attempt = f"job_{self._jobs:026}", self._attempt
        with inline_job(
            self.root, children=self._children, secrets=self._secret, job_id=job_id, attempt=attempt
        ) as run:
            return self._run(run, {**payload, **more})

    def _run(self, run: InlineRun, payload: dict[str, Any]) -> dict[str, Any]:
        self.run = run
        declared = deploy.__job_type__  # type: ignore[attr-defined]
        try:
            result = declared.handler(declared.payload_model.model_validate(payload), run.job)
        finally:
            run.look()
            self.lines = [*run.lines, *run.pulse.end()]
            self.stages = list(run.pulse.stages_ms)
        document: dict[str, Any] = result.model_dump(mode="json", by_alias=True)
        return document

    def _secret(self, name: str) -> str:
        return self.secrets[name] if name in self.secrets else no_secret(name)

    def read(self, name: str) -> str | None:
        """Return the text of a file of the site, None if there is none."""
        path = self.site / name
        return path.read_text() if path.is_file() else None
