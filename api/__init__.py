"""The HTTP API: create_app() makes the Flask application of a platform."""

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from api.application import Api
    from workplatform.bootstrap import Platform

__all__ = ["create_app"]


def create_app(platform: "Platform") -> "Api":
    """Build the API of a platform; nothing is connected before the first request.

    The parts are loaded here and not at import: `python -m api` has to patch the standard library for gevent before
    Flask and the Redis client look at it.
    """
    return cast("Api", import_module("api.application").build(platform))
