"""Groups of jobs: what a batch is, and how a job is made part of a group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, Field

from workplatform.hooks import ENDINGS, Hook, HookOrUrl
from workplatform.models import Tag, WireModel
from workplatform.store.records import NewJob

BatchId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

_HOOKS: Final = ("callback", "onFailure")


def _hears_of_ends(hook: Hook) -> Hook:
    if not any(hook.wants(ending) for ending in ENDINGS):
        raise ValueError(f"a flow or batch tells of its end alone: let events name one of {', '.join(ENDINGS)}")
    return hook


GroupHook = Annotated[HookOrUrl, AfterValidator(_hears_of_ends)]


class GroupSpec(WireModel):
    """What a flow and a batch may say about themselves alike."""

    callback: GroupHook | None = Field(None, description="URL that is told once all its jobs have ended, or an object")
    on_failure: HookOrUrl | None = Field(None, description="The same, told only if one of its jobs has failed")
    tags: tuple[Tag, ...] = Field((), max_length=20, description="Words of the caller's own")

    def said(self) -> dict[str, Any]:
        """Return what the caller said, and only that."""
        spec: dict[str, Any] = {"tags": list(self.tags)} if self.tags else {}
        for name, hook in (("callback", self.callback), ("onFailure", self.on_failure)):
            if hook is not None:
                spec[name] = hook.said
        return spec


class Batch(GroupSpec):
    """The body of POST /api/jobs for a batch."""

    jobs: tuple[Any, ...] = Field(min_length=1, description="The jobs, each as it would be submitted alone")
    batch_id: BatchId | None = Field(None, description="The batch they are of; default: a new", examples=["import-7"])


@dataclass(frozen=True, slots=True)
class Bonds:
    """What binds a new job to others: its group, the ids of its parents; `spec` goes into its own."""

    group: str = ""
    job_id: str = ""
    parents: tuple[str, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def terms(self) -> dict[str, Any]:
        """The bonds as create() of the Lua scripts reads them."""
        return {"group": self.group, **({"dependsOn": list(self.parents)} if self.parents else {})}


def grouped(jobs: Sequence[NewJob], group: str, spec: Mapping[str, Any]) -> list[NewJob]:
    """Return jobs as part of a group, which comes to be, or is described anew, with the first of them."""
    first: dict[str, Any] = {}
    if spec:
        first = {"groupSpec": orjson.dumps(spec).decode(), "groupTells": any(hook in spec for hook in _HOOKS)}
    return [job.with_terms(group=group, **(first if number == 0 else {})) for number, job in enumerate(jobs)]
