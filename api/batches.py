"""/api/batches: listing and showing batches, cancelling and retrying the rest of one."""

import re
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.parameters import number
from api.problems import bad_parameter
from workplatform.grouping import GroupService
from workplatform.service import JobService
from workplatform.states import Status

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_CURSOR: Final = re.compile(r"[0-9]{1,16}")


class BatchRoutes:
    """The routes of the resource."""

    def __init__(self, groups: GroupService, service: JobService) -> None:
        self._groups = groups
        self._service = service

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("batches", __name__, url_prefix="/api/batches")
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("/<batch_id>", view_func=self.get)
        routes.add_url_rule("/<batch_id>/jobs", view_func=self.jobs)
        routes.add_url_rule("/<batch_id>/cancel", view_func=self.cancel, methods=["POST"])
        routes.add_url_rule("/<batch_id>/retry", view_func=self.retry, methods=["POST"])
        return routes

    def page(self) -> Answer:
        """List batches, newest first."""
        return json_answer(self._groups.batches(limit=number("limit", DEFAULT_LIMIT, MAX_LIMIT), cursor=_cursor()))

    def get(self, batch_id: str) -> Answer:
        """Show a batch: how many of its jobs are where."""
        return json_answer(self._groups.batch(batch_id))

    def jobs(self, batch_id: str) -> Answer:
        """List the jobs of a batch that have a status, the latest first."""
        status = request.args.get("status", "")
        if status not in set(Status):
            raise bad_parameter("status", f"is required: one of {', '.join(Status)}")
        limit = number("limit", DEFAULT_LIMIT, MAX_LIMIT)
        ids, following = self._groups.batch_jobs(batch_id, Status(status), limit=limit, cursor=_cursor())
        return json_answer({"jobs": self._service.jobs(ids), "nextCursor": following})

    def cancel(self, batch_id: str) -> Answer:
        """Cancel the jobs that have not ended."""
        return json_answer(self._groups.work_on_batch(batch_id, "cancel"), status=HTTPStatus.ACCEPTED)

    def retry(self, batch_id: str) -> Answer:
        """Queue the jobs that have failed or were cancelled again."""
        return json_answer(self._groups.work_on_batch(batch_id, "retry"), status=HTTPStatus.ACCEPTED)


def _cursor() -> str:
    cursor = request.args.get("cursor", "")
    if cursor and not _CURSOR.fullmatch(cursor):
        raise bad_parameter("cursor", "must be the nextCursor of an earlier page")
    return cursor
