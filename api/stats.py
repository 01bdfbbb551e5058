"""/api/stats: the platform in figures."""

from flask import Blueprint

from api.answers import Answer, json_answer
from api.hub import Hub
from workplatform.service import JobService


class StatsRoutes:
    """The route of the resource."""

    def __init__(self, service: JobService, hub: Hub) -> None:
        self._service = service
        self._hub = hub

    def blueprint(self) -> Blueprint:
        """Return the route for an application to register."""
        routes = Blueprint("stats", __name__)
        routes.add_url_rule("/api/stats", view_func=self.show)
        return routes

    def show(self) -> Answer:
        """Show counts by status and type, what serves which queue, and how many follow the events."""
        return json_answer({**self._service.stats(), "streams": self._hub.clients})
