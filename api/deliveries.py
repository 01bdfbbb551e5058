"""/api/jobs/ID/deliveries: what receivers were told about a job."""

from http import HTTPStatus

from flask import Blueprint

from api.answers import Answer, json_answer
from workplatform.deliveries import DeliveryService


class DeliveryRoutes:
    """The routes of the resource."""

    def __init__(self, service: DeliveryService) -> None:
        self._service = service

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("deliveries", __name__, url_prefix="/api/jobs/<job_id>/deliveries")
        routes.add_url_rule("", view_func=self.show)
        routes.add_url_rule("/<delivery>/resend", view_func=self.resend, methods=["POST"])
        return routes

    def show(self, job_id: str) -> Answer:
        """Show the deliveries about a job, with their attempts."""
        return json_answer({"deliveries": self._service.about(job_id)})

    def resend(self, job_id: str, delivery: str) -> Answer:
        """Have a delivery made again."""
        status = self._service.resend(job_id, delivery)
        return json_answer({"deliveryId": delivery, "status": status}, status=HTTPStatus.ACCEPTED)
