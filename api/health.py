"""Health: whether the process lives, and whether the platform can do its work."""

from http import HTTPStatus

import orjson
from flask import Blueprint

from api.answers import PROBLEM, Answer, json_answer
from api.problems import RETRY_AFTER_S, RequestError, describe
from workplatform.errors import StoreUnavailableError
from workplatform.service import JobService


class HealthRoutes:
    """The routes of the resource; they ask for no key."""

    def __init__(self, service: JobService) -> None:
        self._service = service

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("health", __name__)
        for prefix in ("", "/api"):
            routes.add_url_rule(f"{prefix}/health", view_func=self.live)
            routes.add_url_rule(f"{prefix}/healthz", view_func=self.live)
            routes.add_url_rule(f"{prefix}/readyz", view_func=self.ready)
        return routes

    def live(self) -> Answer:
        """Say that the process answers; touches nothing."""
        return json_answer({"status": "ok"})

    def ready(self) -> Answer:
        """Say whether Redis answers and every queue has a worker, and which of it fails."""
        checks = {"redis": "ok", "workers": "unknown"}
        try:
            unserved = self._service.unserved_queues()
            checks["workers"] = f"no worker serves {', '.join(unserved)}" if unserved else "ok"
        except StoreUnavailableError as error:
            checks["redis"] = error.message
        failed = next((words for words in checks.values() if words != "ok"), None)
        if failed is None:
            return json_answer({"status": "ready", "checks": checks})
        problem = describe(RequestError(HTTPStatus.SERVICE_UNAVAILABLE, failed, code="not_ready"))
        retry = (("Retry-After", str(RETRY_AFTER_S)),)
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, orjson.dumps({**problem, "checks": checks}), PROBLEM, retry)
