"""Children as a worker has them: they outlive a job, and have imported its work."""

from collections.abc import Callable
from typing import Any

from workplatform.children import ChildPool
from workplatform.registry import preloads, type_of


def warm_children(handler: Callable[..., Any]) -> ChildPool:
    """Return children for the jobs of a type, given its handler."""
    return ChildPool(preload=preloads(type_of(handler)))
