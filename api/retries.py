"""Retrying: one job, all that a filter of failed jobs matches, and /api/retries, which tells how far that is."""

from http import HTTPStatus

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.submissions import parsed, read_body, read_document
from workplatform.retrying import RetryService


class RetryRoutes:
    """The routes of the resource."""

    def __init__(self, retrying: RetryService, *, max_body_bytes: int) -> None:
        self._retrying = retrying
        self._max_body_bytes = max_body_bytes

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("retries", __name__, url_prefix="/api")
        routes.add_url_rule("/jobs/<job_id>/retry", view_func=self.one, methods=["POST"])
        routes.add_url_rule("/jobs/retry", view_func=self.many, methods=["POST"])
        routes.add_url_rule("/retries", view_func=self.page)
        routes.add_url_rule("/retries/<retry_id>", view_func=self.get)
        routes.add_url_rule("/retries/<retry_id>", view_func=self.abort, methods=["DELETE"])
        return routes

    def one(self, job_id: str) -> Answer:
        """Queue a failed or cancelled job again, as it was or changed."""
        says_so = request.environ.get("CONTENT_LENGTH") not in ("", "0", None) or request.is_json
        body = read_body(request.environ, max_body_bytes=self._max_body_bytes) if says_so else b""
        # Many clients name the type of a body that they do not send.
        document = {"jobId": job_id, "status": self._retrying.one(job_id, parsed(body) if body else {})}
        return json_answer(document, status=HTTPStatus.ACCEPTED)

    def many(self) -> Answer:
        """Begin to retry all failed jobs that a filter matches, or tell how many these are."""
        document = self._retrying.many(read_document(request.environ, max_body_bytes=self._max_body_bytes))
        if "retryId" not in document:
            return json_answer(document)
        location = ("Location", f"/api/retries/{document['retryId']}")
        return json_answer(document, status=HTTPStatus.ACCEPTED, headers=(location,))

    def page(self) -> Answer:
        """List the latest retries."""
        return json_answer({"retries": self._retrying.latest()})

    def get(self, retry_id: str) -> Answer:
        """Show how far a retry is."""
        return json_answer(self._retrying.get(retry_id))

    def abort(self, retry_id: str) -> Answer:
        """End a retry; what it has retried goes on."""
        return json_answer(self._retrying.abort(retry_id))
