"""/api/workers: who works where, on what, and with how much room."""

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.problems import bad_parameter
from workplatform.service import JobService


class WorkerRoutes:
    """The route of the resource."""

    def __init__(self, service: JobService) -> None:
        self._service = service

    def blueprint(self) -> Blueprint:
        """Return the route for an application to register."""
        routes = Blueprint("workers", __name__)
        routes.add_url_rule("/api/workers", view_func=self.show)
        return routes

    def show(self) -> Answer:
        """Show the live workers, and what they add up to by node and by queue."""
        queue = request.args.get("queue", "")
        queues = self._service.registry.queues
        if queue and queue not in queues:
            raise bad_parameter("queue", f"must be one of {', '.join(sorted(queues))}")
        return json_answer(self._service.workers(queue=queue, node=request.args.get("node", "")))
