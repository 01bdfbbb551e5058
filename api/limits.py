"""/api/limits: what limits there are and how they stand; setting them at run time, and taking that back."""

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.submissions import read_document
from workplatform.limiting import LimitService


class LimitRoutes:
    """The routes of the resource."""

    def __init__(self, limits: LimitService, *, max_body_bytes: int) -> None:
        self._limits = limits
        self._max_body_bytes = max_body_bytes

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("limits", __name__, url_prefix="/api/limits")
        routes.add_url_rule("", view_func=self.show)
        routes.add_url_rule("/<kind>/<limit>", view_func=self.get)
        routes.add_url_rule("/<kind>/<limit>", view_func=self.put, methods=["PUT"])
        routes.add_url_rule("/<kind>/<limit>", view_func=self.take_back, methods=["DELETE"])
        return routes

    def show(self) -> Answer:
        """Show every limit that is set, or that jobs wait for."""
        return json_answer({"limits": self._limits.all()})

    def get(self, kind: str, limit: str) -> Answer:
        """Show the limit of a job type or an API key."""
        return json_answer(self._limits.get(kind, limit))

    def put(self, kind: str, limit: str) -> Answer:
        """Set the limit of a job type or an API key."""
        document = read_document(request.environ, max_body_bytes=self._max_body_bytes)
        return json_answer(self._limits.put(kind, limit, document))

    def take_back(self, kind: str, limit: str) -> Answer:
        """Let what the settings say of a job type or an API key count again."""
        return json_answer(self._limits.take_back(kind, limit))
