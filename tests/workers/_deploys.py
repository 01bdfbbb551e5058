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

    def deploy(self, **more: Any) -> dict[str, Any]:
        """Deploy; returns the result as the wire has it."""
        payload: dict[str, Any] = {"projectId": "p", "directory": "site"}
        if not more.get("rollback"):
            payload["repoUrl"] = "repo"
            if not {"branch", "commit", "tag"} & more.keys():
                payload["branch"] = "main"
        with inline_job(self.root, children=self._children, secrets=self._secret) as run:
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
