"""The errors of jobs: one list of codes, that of the documents, and nothing else is raised or recorded."""

import ast
import builtins
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.documents import ROOT, blocks, codes, table
from workplatform import errors
from workplatform.endings import after_failure, describe
from workplatform.errors import Cancelled, JobError, PlatformError, ShuttingDown, StoreUnavailableError
from workplatform.registry import discover
from workplatform.retry import RetryPolicy
from workplatform.states import Status
from workplatform.turns import NotYet

# A cancelled job did not fail; a job whose worker stops, or that waits for its turn, did not end.
NO_FAILURES = (Cancelled, ShuttingDown, NotYet)
WORKERS = sorted((ROOT / "workers").rglob("*.py"))


def kinds() -> dict[str, type[JobError]]:
    """Every error that may end an attempt, by name; those of tests and of other packages left out."""
    discover(["workers"])
    found: list[type[JobError]] = [JobError]
    for kind in found:
        found += kind.__subclasses__()
    return {kind.__name__: kind for kind in found if kind.__module__.partition(".")[0] in ("workplatform", "workers")}


def documented() -> dict[str, bool]:
    rows = table("docs/errors.md", "code", "tried again", "means", "the mend")
    assert all(len(row) == 4 and all(row) for row in rows)
    listed = {codes(row[0])[0]: {"yes": True, "no": False}[row[1]] for row in rows}
    assert len(listed) == len(rows)
    return listed


def raised_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and raised.id.lstrip("_")[0].isupper():
                yield raised.id


def caught_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            yield from (name.id for name in ast.walk(node.type) if isinstance(name, ast.Name))


def bases_of(name: str) -> set[str]:
    """The names under which an error can be caught."""
    kind = getattr(builtins, name, None)
    return {base.__name__ for base in kind.__mro__} if isinstance(kind, type) else {name}


def test_the_list_of_codes_is_that_of_the_code() -> None:
    real = {kind.code: kind.retryable for kind in kinds().values() if kind not in NO_FAILURES}
    assert documented() == real | {"internal": True, StoreUnavailableError.code: True}


def test_every_code_stands_for_one_error() -> None:
    platform: list[type[PlatformError]] = [PlatformError]
    for kind in platform:
        platform += [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    assert len({kind.code for kind in platform}) == len(platform)


def test_what_the_workers_raise_is_in_the_list() -> None:
    known = set(kinds())
    # A validator's ValueError refuses the submission, Pillow takes EOFError for the end of a sequence; what the workers
    # catch themselves ends no attempt.
    caught = {"ValueError", "EOFError", *(name for path in WORKERS for name in caught_in(path))} - {
        "Exception",
        "BaseException",
    }
    for path in WORKERS:
        assert {name for name in raised_in(path) if not caught & bases_of(name)} <= known, path.name


@pytest.mark.parametrize("kind", kinds().values(), ids=lambda kind: kind.__name__)
def test_retries_follow_the_list(kind: type[JobError]) -> None:
    following = after_failure(kind("no"), retries=0, policy=RetryPolicy(max_retries=1))
    if kind in NO_FAILURES:
        assert following.error is None
    elif documented()[kind.code]:
        assert following.status in (Status.SCHEDULED, Status.QUEUED)
    else:
        assert following.status is Status.FAILED
    if kind is not NotYet:
        following = after_failure(kind("no"), retries=1, policy=RetryPolicy(max_retries=1))
        assert following.status is not Status.SCHEDULED


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no_space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no_space"),
        (OSError(errno.EIO, "Input/output error"), "internal"),
        (
            caused_by(OSError(errno.ENOSPC, "No space left on device"), errors.EncoderError("could not be saved")),
            "no_space",
        ),
        (caused_by(OSError(errno.EIO, "Input/output error"), errors.EncoderError("could not be saved")), "encoder"),
        (StoreUnavailableError(), "store_unavailable"),
        (errors.SettingsError("no"), "internal"),
        (errors.JobNotFoundError("no"), "internal"),
        (requests.ConnectionError("no"), "internal"),
        (MemoryError(), "internal"),
    ],
)
def test_an_unforeseen_error_has_a_code_of_the_list_too(error: Exception, code: str) -> None:
    assert describe(error)["code"] == code
    assert documented()[code] is describe(error)["retryable"]


def test_a_code_of_ones_own_works_as_the_document_says() -> None:
    names: dict[str, type[JobError]] = {}
    exec(blocks("docs/errors.md", "python")[0].text, names)  # noqa: S102 - the text is ours
    error = names["LicenceError"]()
    assert describe(error) == {"code": "licence", "message": "The licence does not allow this.", "retryable": False}
