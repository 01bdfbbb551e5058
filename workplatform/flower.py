"""The flower role: Flower over our workers and tasks, read-only, behind the API's key.

Flower leaves its metrics open and lets any login shut workers down, so the decision who may see what is made here,
before Flower sees a request: a caller brings the key, as for the API or as the password of any user name that a browser
asks for; without a key only programs on this machine are served, under its name. Nobody may do more than look.
"""

import asyncio
import base64
import logging
import secrets
import signal
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

import structlog
from flower import options as flower_options
from flower.app import Flower
from flower.urls import settings as flower_settings
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import RequestHandler

from workplatform.alive import SignOfLife
from workplatform.apikeys import name_of
from workplatform.celery_app import app
from workplatform.settings import Settings

_OPEN_PATHS: Final = frozenset({"/healthcheck"})
_LOOKING: Final = frozenset({"GET", "HEAD"})
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_SIGN_EVERY_MS: Final = 1000
_TASKS_KEPT: Final = 10_000  # some 20 MB

_log = structlog.get_logger()


class FlowerGuard:
    """Decides who may look. Flower gets a login of its own, which never leaves this process."""

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.keys
        self.login = f"workplatform:{secrets.token_urlsafe(32)}"
        self._header = f"Basic {base64.b64encode(self.login.encode()).decode()}"

    def refusal(self, request: HTTPServerRequest) -> HTTPStatus | None:
        """Return why the request is refused; one that is let in carries Flower's own login from here on."""
        if request.method not in _LOOKING:
            return HTTPStatus.FORBIDDEN
        if request.path not in _OPEN_PATHS:
            if not self._keys and not _is_local(request):
                return HTTPStatus.FORBIDDEN
            if self._keys and name_of(_given_key(request), self._keys) is None:
                return HTTPStatus.UNAUTHORIZED
        request.headers["Authorization"] = self._header
        return None


class Refusal(RequestHandler):
    """Answers what the guard refused."""

    def initialize(self, status: HTTPStatus) -> None:
        """Take the status to answer with."""
        self._status = status

    def check_xsrf_cookie(self) -> None:
        """Refuse by our own reason, whatever the cookies are."""

    def prepare(self) -> None:
        """Answer any method."""
        self.set_status(self._status)
        if self._status is HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Basic realm="Work Platform: the password is API_KEY"')
        self.finish(f"{self._status.phrase}\n")


class ReadOnlyFlower(Flower):
    """Flower behind the guard."""

    def __init__(self, guard: FlowerGuard, **options: Any) -> None:
        self._guard = guard
        super().__init__(**options)

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """Find who answers a request: Flower, if the guard lets it in."""
        status = self._guard.refusal(request)
        if status is None:
            return super().find_handler(request, **options)
        return self.get_handler_delegate(request, Refusal, {"status": status})


def run(settings: Settings) -> int:
    """Serve Flower until SIGTERM; returns the exit code."""
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    guard = FlowerGuard(settings)
    options = flower_options.default_options
    options.address, options.port = settings.bind_host, settings.flower_port
    options.basic_auth = [guard.login]
    options.read_only = True
    options.enable_events = False  # TASK_EVENTS is what switches them on
    options.max_tasks = _TASKS_KEPT
    served = ReadOnlyFlower(guard, capp=app, options=options, **{**flower_settings, "xsrf_cookies": False})
    sign = SignOfLife(settings.alive_folder, "flower")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    served.start_http_server()
    served.events.start()
    served.update_workers()
    PeriodicCallback(sign.touch, _SIGN_EVERY_MS).start()
    _log.info("flower_listening", host=settings.bind_host, port=settings.flower_port)
    await stop.wait()
    served.events.stop()
    served.executor.shutdown(wait=False, cancel_futures=True)
    sign.remove()


def _given_key(request: HTTPServerRequest) -> bytes:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return str(request.headers.get("X-API-Key", "")).encode()


def _is_local(request: HTTPServerRequest) -> bool:
    """Whether a program of this machine asks, and no page of another origin through the user's browser."""
    try:
        is_near = ip_address(request.remote_ip or "").is_loopback
    except ValueError:
        return False
    is_foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return is_near and request.host_name.lower() in _LOCAL_NAMES and not is_foreign
