"""/api/queues: how the queues stand; pause, drain, resume, purge."""

from flask import Blueprint

from api.answers import Answer, json_answer
from workplatform.service import JobService


class QueueRoutes:
    """The routes of the resource."""

    def __init__(self, service: JobService) -> None:
        self._service = service

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("queues", __name__, url_prefix="/api/queues")
        routes.add_url_rule("", view_func=self.show)
        routes.add_url_rule("/<queue>/pause", view_func=self.pause, methods=["POST"])
        routes.add_url_rule("/<queue>/drain", view_func=self.drain, methods=["POST"])
        routes.add_url_rule("/<queue>/resume", view_func=self.resume, methods=["POST"])
        routes.add_url_rule("/<queue>/purge", view_func=self.purge, methods=["POST"])
        return routes

    def show(self) -> Answer:
        """Show which types each queue has, how it stands, and what is in it."""
        return json_answer({"queues": self._service.stats()["queues"]})

    def pause(self, queue: str) -> Answer:
        """Let no further job of the queue begin."""
        self._service.pause(queue, is_paused=True)
        return json_answer({"queue": queue, "paused": True})

    def drain(self, queue: str) -> Answer:
        """Take no further job into the queue, and let those in it run."""
        self._service.drain(queue)
        return json_answer({"queue": queue, "draining": True})

    def resume(self, queue: str) -> Answer:
        """Let the queue take jobs in, and let them begin, again."""
        self._service.pause(queue, is_paused=False)
        return json_answer({"queue": queue, "paused": False, "draining": False})

    def purge(self, queue: str) -> Answer:
        """Cancel the queue's jobs that are queued or wait for a limit."""
        return json_answer({"queue": queue, "cancelled": self._service.purge(queue)})
