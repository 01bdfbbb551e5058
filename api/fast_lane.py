"""The fast lane: submissions go to their code without Flask's routing, contexts and response objects.

These cost as much as all that a submission does. The guard, the errors and the answers are the same ones; Flask's own
route stays for whoever runs the application without this.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from api.answers import Answer
from api.auth import Guard
from api.problems import answer_error
from api.submissions import Submissions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PATH = "/api/jobs"


class FastLane:
    """WSGI middleware."""

    def __init__(self, application: "WSGIApplication", guard: Guard, submissions: Submissions) -> None:
        self._application = application
        self._guard = guard
        self._submissions = submissions

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] == _PATH:
            return self._answer(environ).extended(self._guard.cors_headers(environ))(environ, start_response)
        return self._application(environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        try:
            self._guard.check(environ)
            return self._submissions.answer(environ)
        except Exception as error:  # noqa: BLE001 - the edge: answered, and logged if nobody foresaw it
            return answer_error(error)
