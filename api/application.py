"""The Flask application: the routes, and around all of them one guard and one way to tell errors."""

from typing import Any

from flask import Flask, Response, request

from api.answers import Answer
from api.auth import Guard
from api.batches import BatchRoutes
from api.commit import GroupCommit
from api.dashboard.page import DashboardRoutes
from api.deliveries import DeliveryRoutes
from api.events import EventRoutes
from api.failures import ErrorRoutes
from api.files import FileRoutes
from api.files_names import NameConverter
from api.files_outputs import OutputRoutes
from api.flows import FlowRoutes
from api.health import HealthRoutes
from api.hub import Hub
from api.jobs import JobRoutes
from api.limits import LimitRoutes
from api.problems import answer_error
from api.queues import QueueRoutes
from api.retries import RetryRoutes
from api.schedules import ScheduleRoutes
from api.stats import StatsRoutes
from api.submissions import Submissions
from api.workers import WorkerRoutes
from workplatform.bootstrap import Platform
from workplatform.storage.paths import roots_of
from workplatform.storage.s3 import S3, account_of


class Api(Flask):
    """Flask, with answers in place of response objects."""

    def __init__(self, platform: Platform) -> None:
        super().__init__("api", static_folder=None)
        settings, service = platform.settings, platform.service
        self.guard = Guard(settings)
        self.hub = Hub(service.events)
        self.submissions = Submissions(
            service, platform.groups, GroupCommit(service), max_body_bytes=settings.max_body_bytes
        )
        self.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
        self.before_request(self._admit)
        self.after_request(self._let_origin_read)
        self.register_error_handler(Exception, answer_error)
        self.register_blueprint(JobRoutes(service, platform.failures, self.submissions).blueprint())
        self.register_blueprint(DeliveryRoutes(platform.deliveries).blueprint())
        self.url_map.converters["name"] = NameConverter
        s3 = S3(account_of(settings), platform.outbound)
        self.register_blueprint(FileRoutes(settings).blueprint())
        self.register_blueprint(OutputRoutes(service, roots_of(settings), s3).blueprint())
        self.register_blueprint(EventRoutes(service, platform.groups, self.hub))
        self.register_blueprint(StatsRoutes(service, self.hub).blueprint())
        self.register_blueprint(QueueRoutes(service).blueprint())
        schedules = ScheduleRoutes(platform.schedules, max_body_bytes=settings.max_body_bytes)
        self.register_blueprint(schedules.blueprint())
        flows = FlowRoutes(platform.groups, max_body_bytes=settings.max_body_bytes)
        self.register_blueprint(flows.blueprint())
        self.register_blueprint(BatchRoutes(platform.groups, service).blueprint())
        self.register_blueprint(ErrorRoutes(platform.failures, platform.registry).blueprint())
        retries = RetryRoutes(platform.retrying, max_body_bytes=settings.max_body_bytes)
        self.register_blueprint(retries.blueprint())
        limits = LimitRoutes(platform.limits, max_body_bytes=settings.max_body_bytes)
        self.register_blueprint(limits.blueprint())
        self.register_blueprint(WorkerRoutes(service).blueprint())
        self.register_blueprint(HealthRoutes(service).blueprint())
        self.register_blueprint(DashboardRoutes().blueprint())

    def make_response(self, rv: Any) -> Response:
        """Make Flask's response of what a route gave back."""
        if isinstance(rv, Answer):
            return self.response_class(rv.body, rv.status, rv.all_headers())
        return super().make_response(rv)

    def drain(self) -> None:
        """End every event stream, so that the process can stop."""
        self.hub.close()

    def _admit(self) -> Answer | None:
        preflight = self.guard.preflight(request.environ)
        if preflight is None:
            self.guard.check(request.environ)
        return preflight

    def _let_origin_read(self, response: Response) -> Response:
        response.headers.extend(self.guard.cors_headers(request.environ))
        return response


def build(platform: Platform) -> Api:
    """Build the API of a platform."""
    return Api(platform)
