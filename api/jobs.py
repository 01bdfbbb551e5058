"""/api/jobs: submit, look, list, cancel, retry, and read the log."""

from typing import Any

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.failures import is_search, search
from api.frames import STREAM_ID
from api.parameters import known_type, number
from api.problems import bad_parameter
from api.submissions import Submissions
from workplatform.failures import FailureService
from workplatform.ids import JOB_ID
from workplatform.service import JobService
from workplatform.states import Status
from workplatform.wire import timestamp

DEFAULT_LIMIT = 20
MAX_LIMIT = 200
DEFAULT_LINES = 1000
MAX_LINES = 2000


class JobRoutes:
    """The routes of the resource."""

    def __init__(self, service: JobService, failures: FailureService, submissions: Submissions) -> None:
        self._service = service
        self._failures = failures
        self._submissions = submissions

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("jobs", __name__, url_prefix="/api/jobs")
        routes.add_url_rule("", view_func=self.submit, methods=["POST"])
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("/<job_id>", view_func=self.get)
        routes.add_url_rule("/<job_id>", view_func=self.cancel, methods=["DELETE"])
        routes.add_url_rule("/<job_id>/logs", view_func=self.logs)
        return routes

    def submit(self) -> Answer:
        """Store one job or an array of jobs."""
        return self._submissions.answer(request.environ)

    def get(self, job_id: str) -> Answer:
        """Show a job."""
        return json_answer(self._service.get(job_id))

    def page(self) -> Answer:
        """List jobs, newest first, with counts."""
        if is_search():
            return json_answer(self._search())
        status = request.args.get("status", "")
        if status and status not in set(Status):
            raise bad_parameter("status", f"must be one of {', '.join(Status)}")
        cursor = request.args.get("cursor", "")
        if cursor and not JOB_ID.fullmatch(cursor):
            raise bad_parameter("cursor", "must be the nextCursor of an earlier page")
        listing = self._service.list(
            job_type=known_type(self._service.registry),
            status=status,
            limit=number("limit", DEFAULT_LIMIT, MAX_LIMIT),
            cursor=cursor,
        )
        return json_answer(
            {"jobs": listing.jobs, "total": listing.total, **listing.counts, "nextCursor": listing.next_cursor}
        )

    def _search(self) -> dict[str, Any]:
        """Search the failed jobs; the counts are those of a listing."""
        found = search(self._failures, self._service.registry)
        counts = self._service.list(job_type=request.args.get("type", ""), limit=0).counts
        return found | {status.value: number for status, number in counts.items()}

    def cancel(self, job_id: str) -> Answer:
        """Cancel a job; doing so again changes nothing."""
        return json_answer({"jobId": job_id, "status": self._service.cancel(job_id)})

    def logs(self, job_id: str) -> Answer:
        """Show lines of a job's log; `next` is the `after` of the following call."""
        after = request.args.get("after", "")
        if after and not STREAM_ID.fullmatch(after):
            raise bad_parameter("after", "must be the n of a line")
        lines = self._service.logs(job_id, after=after, limit=number("limit", DEFAULT_LINES, MAX_LINES))
        documents = [{"n": line.id, "at": timestamp(line.at), "text": line.text} for line in lines]
        return json_answer({"lines": documents, "next": lines[-1].id if lines else after or "0"})
