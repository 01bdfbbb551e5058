"""/api/errors, and what GET /api/jobs tells of failed jobs: the search among them."""

from datetime import UTC, datetime
from typing import Any, get_args

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.parameters import known_type, number
from api.problems import bad_parameter
from workplatform.failures import FailureService
from workplatform.ids import JOB_ID
from workplatform.registry import Registry
from workplatform.store.failures import FailureFilter, Order, Place
from workplatform.wire import timestamp

FILTERS = frozenset({"code", "fingerprint", "tag", "from", "to"})
DEFAULT_LIMIT = 20
MAX_LIMIT = 200


class ErrorRoutes:
    """The routes of the resource."""

    def __init__(self, failures: FailureService, registry: Registry) -> None:
        self._failures = failures
        self._registry = registry

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("errors", __name__, url_prefix="/api/errors")
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("/<fingerprint>", view_func=self.get)
        return routes

    def page(self) -> Answer:
        """List groups of errors that are alike."""
        orders: tuple[Order, ...] = get_args(Order)
        order = next((order for order in orders if order == request.args.get("sort", orders[0])), None)
        if order is None:
            raise bad_parameter("sort", f"must be one of {', '.join(orders)}")
        errors, following = self._failures.errors(
            job_type=known_type(self._registry),
            order=order,
            limit=number("limit", DEFAULT_LIMIT, MAX_LIMIT),
            below=place_asked(is_job=False),
        )
        return json_answer({"errors": errors, "nextCursor": cursor(following)})

    def get(self, fingerprint: str) -> Answer:
        """Show a group, and its failed jobs."""
        document = self._failures.error(fingerprint)
        found = self._failures.search(
            FailureFilter(fingerprint=fingerprint),
            limit=number("limit", DEFAULT_LIMIT, MAX_LIMIT),
            below=place_asked(is_job=True),
        )
        return json_answer({**document, "jobs": found.jobs, "nextCursor": cursor(found.following)})


def is_search() -> bool:
    """Whether the request asks for more of the failed jobs than a listing gives."""
    return not FILTERS.isdisjoint(request.args)


def search(failures: FailureService, registry: Registry) -> dict[str, Any]:
    """Search the failed jobs as the request says; raises RequestError."""
    if request.args.get("status") != "failed":
        names = ", ".join(sorted(FILTERS & request.args.keys()))
        raise bad_parameter("status", f"must be failed, as only failed jobs are searched by {names}")
    wanted = FailureFilter(
        job_type=known_type(registry),
        code=request.args.get("code", ""),
        fingerprint=request.args.get("fingerprint", ""),
        tag=request.args.get("tag", ""),
        since=_moment("from"),
        until=_moment("to"),
    )
    limit = number("limit", DEFAULT_LIMIT, MAX_LIMIT)
    found = failures.search(wanted, limit=limit, below=place_asked(is_job=True))
    return {"jobs": found.jobs, "total": found.total, "nextCursor": cursor(found.following)}


def place_asked(*, is_job: bool) -> Place:
    """Return where the page starts that the request asks for; raises RequestError."""
    score, mark, member = request.args.get("cursor", "").partition(".")
    is_known = score.isascii() and score.isdigit() and len(score) <= 16
    if not (mark and is_known and (not is_job or JOB_ID.fullmatch(member))) and (score or mark):
        raise bad_parameter("cursor", "must be the nextCursor of an earlier page")
    return Place(score, member)


def cursor(place: Place | None) -> str | None:
    """Return a place as the client gives it back."""
    return f"{place.score}.{place.member}" if place else None


def _moment(name: str) -> datetime | None:
    """Read a moment with its zone."""
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        example = timestamp(datetime(2030, 1, 31, 4, tzinfo=UTC))
        raise bad_parameter(name, f"must be a moment with its zone, such as {example}") from None
