"""Parameters of an address: reading them, and refusing wrong ones by name."""

from flask import request

from api.problems import bad_parameter


def number(name: str, default: int, most: int) -> int:
    """Return a parameter that is a whole number from 1 to `most`; raises RequestError."""
    text = request.args.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= most:
        raise bad_parameter(name, f"must be a whole number from 1 to {most}")
    return int(text)
