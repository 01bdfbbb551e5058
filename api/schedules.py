"""/api/schedules: making, showing, changing, pausing, firing and removing schedules."""

from http import HTTPStatus

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.auth import caller_of
from api.submissions import read_document
from workplatform.scheduling import ScheduleService


class ScheduleRoutes:
    """The routes of the resource."""

    def __init__(self, schedules: ScheduleService, *, max_body_bytes: int) -> None:
        self._schedules = schedules
        self._max_body_bytes = max_body_bytes

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("schedules", __name__, url_prefix="/api/schedules")
        routes.add_url_rule("", view_func=self.show)
        routes.add_url_rule("", view_func=self.create, methods=["POST"])
        routes.add_url_rule("/<schedule>", view_func=self.get)
        routes.add_url_rule("/<schedule>", view_func=self.put, methods=["PUT"])
        routes.add_url_rule("/<schedule>", view_func=self.drop, methods=["DELETE"])
        routes.add_url_rule("/<schedule>/pause", view_func=self.pause, methods=["POST"])
        routes.add_url_rule("/<schedule>/resume", view_func=self.resume, methods=["POST"])
        routes.add_url_rule("/<schedule>/run", view_func=self.run, methods=["POST"])
        return routes

    def show(self) -> Answer:
        """Show every schedule."""
        return json_answer({"schedules": self._schedules.summaries()})

    def create(self) -> Answer:
        """Make a schedule under a name that is free."""
        document = self._schedules.create(self._read(), by=caller_of(request.environ))
        return json_answer(document, status=HTTPStatus.CREATED, headers=(_location(document["name"]),))

    def get(self, schedule: str) -> Answer:
        """Show a schedule, when it fires next, and what became of its last fires."""
        return json_answer(self._schedules.get(schedule))

    def put(self, schedule: str) -> Answer:
        """Make a schedule, or change the one that has the name."""
        document, is_new = self._schedules.put(schedule, self._read(), by=caller_of(request.environ))
        if is_new:
            return json_answer(document, status=HTTPStatus.CREATED, headers=(_location(schedule),))
        return json_answer(document)

    def drop(self, schedule: str) -> Answer:
        """Remove a schedule; its jobs stay."""
        self._schedules.drop(schedule)
        return Answer(HTTPStatus.NO_CONTENT)

    def pause(self, schedule: str) -> Answer:
        """Let a schedule fire no more."""
        return json_answer(self._schedules.pause(schedule, is_paused=True))

    def resume(self, schedule: str) -> Answer:
        """Let a schedule fire again, from now on."""
        return json_answer(self._schedules.pause(schedule, is_paused=False))

    def run(self, schedule: str) -> Answer:
        """Make a schedule's job now."""
        fired = self._schedules.run(schedule)
        document = {"schedule": schedule, "jobId": fired.job_id, "existing": fired.outcome == "existing"}
        location = ("Location", f"/api/jobs/{fired.job_id}")
        return json_answer(document, status=HTTPStatus.ACCEPTED, headers=(location,))

    def _read(self) -> object:
        return read_document(request.environ, max_body_bytes=self._max_body_bytes)


def _location(name: str) -> tuple[str, str]:
    return ("Location", f"/api/schedules/{name}")
