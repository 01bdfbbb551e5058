"""/api/flows: making, listing, showing, cancelling and retrying flows."""

import hashlib
import re
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request

from api.answers import Answer, json_answer
from api.auth import caller_of
from api.parameters import number
from api.problems import bad_parameter
from api.repeats import refuse_repeats
from api.submissions import idempotency_key, parsed, read_body
from workplatform.grouping import GroupService

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_CURSOR: Final = re.compile(r"flow_[0-9A-Z]{26}")


class FlowRoutes:
    """The routes of the resource."""

    def __init__(self, groups: GroupService, *, max_body_bytes: int) -> None:
        self._groups = groups
        self._max_body_bytes = max_body_bytes

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("flows", __name__, url_prefix="/api/flows")
        routes.add_url_rule("", view_func=self.create, methods=["POST"])
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("/<flow_id>", view_func=self.get)
        routes.add_url_rule("/<flow_id>/cancel", view_func=self.cancel, methods=["POST"])
        routes.add_url_rule("/<flow_id>/retry", view_func=self.retry, methods=["POST"])
        return routes

    def create(self) -> Answer:
        """Make a flow: all of its jobs, or none."""
        environ = request.environ
        body = read_body(environ, max_body_bytes=self._max_body_bytes)
        key = idempotency_key(environ) if "HTTP_IDEMPOTENCY_KEY" in environ else ""
        fingerprint = hashlib.sha256(body).hexdigest()
        document = parsed(body)
        refuse_repeats(body)
        made = self._groups.create_flow(document, key=key, fingerprint=fingerprint, by=caller_of(environ))
        location = ("Location", f"/api/flows/{made.flow_id}")
        replayed = (("Idempotent-Replayed", "true"),) if made.is_replay else ()
        if made.answer:
            return Answer(HTTPStatus.ACCEPTED, made.answer, headers=(location, *replayed))
        answer = json_answer(self._groups.flow(made.flow_id), status=HTTPStatus.ACCEPTED, headers=(location, *replayed))
        if key:
            self._groups.remember_answer(key, answer.body)
        return answer

    def page(self) -> Answer:
        """List flows, newest first, without their steps."""
        cursor = request.args.get("cursor", "")
        if cursor and not _CURSOR.fullmatch(cursor):
            raise bad_parameter("cursor", "must be the nextCursor of an earlier page")
        return json_answer(self._groups.flows(limit=number("limit", DEFAULT_LIMIT, MAX_LIMIT), cursor=cursor))

    def get(self, flow_id: str) -> Answer:
        """Show a flow: its graph, how its steps stand, and their results."""
        return json_answer(self._groups.flow(flow_id))

    def cancel(self, flow_id: str) -> Answer:
        """Cancel what has not ended."""
        return json_answer(self._groups.cancel_flow(flow_id))

    def retry(self, flow_id: str) -> Answer:
        """Have what has not completed begin again; what has keeps its results."""
        return json_answer(self._groups.retry_flow(flow_id), status=HTTPStatus.ACCEPTED)
