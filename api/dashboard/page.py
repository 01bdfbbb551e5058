"""The page at /: recent jobs as they move. It holds no data itself and so needs no key; its calls do."""

from importlib.resources import files
from typing import Final

from flask import Blueprint

from api.answers import Answer

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (("Content-Security-Policy", _POLICY), ("Referrer-Policy", "no-referrer"))
_FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/dashboard.js": ("page.js", "text/javascript; charset=utf-8"),
    "/dashboard.css": ("page.css", "text/css; charset=utf-8"),
}


class DashboardRoutes:
    """The page and its two files."""

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("dashboard", __name__)
        for path, (name, media_type) in _FILES.items():
            answer = Answer(200, (files("api.dashboard") / name).read_bytes(), media_type, _HEADERS)
            routes.add_url_rule(path, endpoint=name.replace(".", "_"), view_func=lambda answer=answer: answer)
        return routes
