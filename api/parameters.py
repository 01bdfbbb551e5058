"""Query parameters that several routes take."""

from flask import request

from api.problems import bad_parameter
from workplatform.registry import Registry


def number(name: str, default: int, most: int) -> int:
    """Return a whole number from 1 on; raises RequestError."""
    text = request.args.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= most:
        raise bad_parameter(name, f"must be a whole number from 1 to {most}")
    return int(text)


def known_type(registry: Registry) -> str:
    """Return the job type that the request asks for, or "" for all; raises RequestError."""
    name = request.args.get("type", "")
    if name and name not in registry:
        raise bad_parameter("type", f"must be one of {', '.join(sorted(registry))}")
    return name
