"""/api/files: what callers that share no disk with the workers send and fetch."""

from http import HTTPStatus

from flask import Blueprint, Response, request

from api.answers import Answer, json_answer
from api.files_conditions import check_writable
from api.files_documents import upload_document
from api.files_multipart import Form
from api.files_names import FILES, Parts, bad_name, parts_of
from api.files_putting import Putting
from api.files_serving import serve
from api.files_uploads import Uploads
from api.problems import RequestError, bad_parameter
from workplatform.errors import PlatformError
from workplatform.settings import Settings
from workplatform.storage.space import Limits

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class FileRoutes:
    """The routes of the resource."""

    def __init__(self, settings: Settings) -> None:
        self._uploads = Uploads(
            settings.files_dir,
            aside=settings.partial_dir,
            shown=_shown(settings),
            limits=Limits(min_free_bytes=settings.min_free_bytes),
        )
        self._putting = Putting(self._uploads, most=settings.max_upload_bytes)
        self._form = Form(self._uploads, most=settings.max_upload_bytes)

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("files", __name__, url_prefix=FILES)
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("", view_func=self.post, methods=["POST"])
        for view, method in ((self.get, "GET"), (self.put, "PUT"), (self.delete, "DELETE")):
            routes.add_url_rule("/<name:name>", view_func=view, methods=[method], merge_slashes=False)
        return routes

    def page(self) -> Answer:
        """List files by name; `path` is the folder that holds them, as payloads call it."""
        limit = limit_of(DEFAULT_LIMIT, MAX_LIMIT)
        entries = self._uploads.page(prefix=request.args.get("prefix", ""), after=cursor_of(), limit=limit + 1)
        documents = [upload_document(self._uploads, entry.name, entry.facts) for entry in entries[:limit]]
        cursor = documents[-1]["name"] if len(entries) > limit else None
        return json_answer({"path": self._uploads.path(), "files": documents, "nextCursor": cursor})

    def post(self) -> Answer:
        """Take the files of a form."""
        return self._form.answer()

    def put(self, name: str) -> Answer:
        """Take a file, or a piece of one."""
        return self._putting.answer(parts_of(name))

    def get(self, name: str) -> Response:
        """Give a file."""
        try:
            file = self._uploads.tree.open(parts_of(name))
        except FileNotFoundError as error:
            raise file_not_found(name) from error
        return serve(file, name)

    def delete(self, name: str) -> Answer:
        """Remove a file."""
        parts = parts_of(name)
        check_writable(request.headers.get, self._uploads.version(parts))
        if self._uploads.tree.kinds(parts)[-1] == "folder":
            raise bad_name(f"{name!r} is a folder; remove the files in it", status=HTTPStatus.CONFLICT)
        if not self._uploads.remove(parts):
            raise file_not_found(name)
        return Answer(HTTPStatus.NO_CONTENT)


def file_not_found(name: str) -> PlatformError:
    """Make the error for a name that no file has."""
    return RequestError(HTTPStatus.NOT_FOUND, f"there is no file {name!r}", code="file_not_found")


def limit_of(default: int, most: int) -> int:
    """Return the query's `limit`; raises RequestError (400)."""
    text = request.args.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= most:
        raise bad_parameter("limit", f"must be a whole number from 1 to {most}")
    return int(text)


def cursor_of() -> Parts:
    """Return the name after which the query's page begins."""
    cursor = request.args.get("cursor", "")
    return parts_of(cursor, field="cursor") if cursor else ()


def _shown(settings: Settings) -> str:
    """Return what payloads call the folder: below the folder that relative paths are taken from, if it lies there."""
    folder, base = settings.files_dir, settings.allowed_roots[0] if settings.allowed_roots else settings.data_dir
    return folder.relative_to(base).as_posix() if folder.is_relative_to(base) else str(folder)
