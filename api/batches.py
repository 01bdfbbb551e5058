"""/api/batches: showing batches, cancelling and retrying the rest of one."""

from http import HTTPStatus

from flask import Blueprint

from api.answers import Answer, json_answer
from workplatform.grouping import GroupService


class BatchRoutes:
    """The routes of the resource."""

    def __init__(self, groups: GroupService) -> None:
        self._groups = groups

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("batches", __name__, url_prefix="/api/batches")
        routes.add_url_rule("/<batch_id>", view_func=self.get)
        routes.add_url_rule("/<batch_id>/cancel", view_func=self.cancel, methods=["POST"])
        routes.add_url_rule("/<batch_id>/retry", view_func=self.retry, methods=["POST"])
        return routes

    def get(self, batch_id: str) -> Answer:
        """Show a batch: how many of its jobs are where."""
        return json_answer(self._groups.batch(batch_id))

    def cancel(self, batch_id: str) -> Answer:
        """Cancel the jobs that have not ended."""
        return json_answer(self._groups.work_on_batch(batch_id, "cancel"), status=HTTPStatus.ACCEPTED)

    def retry(self, batch_id: str) -> Answer:
        """Queue the jobs that have failed or were cancelled again."""
        return json_answer(self._groups.work_on_batch(batch_id, "retry"), status=HTTPStatus.ACCEPTED)
