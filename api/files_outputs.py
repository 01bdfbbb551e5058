"""/api/jobs/ID/files: what a job has made, named, described and given, wherever it lies.

A file is named by the last part of its path, what is in a folder by the folder's and its own name below it. Only what a
job has made is reached, and only as long as it lies where jobs may write.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, request

from api.answers import Answer, json_answer
from api.files import file_not_found, limit_of
from api.files_documents import facts_document
from api.files_names import media_type, output_url, parts_of
from api.files_pump import off_the_hub
from api.files_serving import serve
from api.files_tree import Entry, Tree
from workplatform.errors import JobError
from workplatform.service import JobService
from workplatform.storage.paths import Roots
from workplatform.storage.s3 import S3
from workplatform.storage.s3_listing import listed, readable_url
from workplatform.storage.uris import is_s3, s3_place
from workplatform.store.records import CommittedOutput
from workplatform.wire import timestamp

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Named:
    """An output and what it is called among those of its job."""

    name: str
    uri: str
    is_directory: bool


class OutputRoutes:
    """The routes of the resource."""

    def __init__(self, service: JobService, roots: Roots, s3: S3) -> None:
        self._service = service
        self._roots = roots
        self._s3 = s3

    def blueprint(self) -> Blueprint:
        """Return the routes for an application to register."""
        routes = Blueprint("outputs", __name__, url_prefix="/api/jobs/<job_id>/files")
        routes.add_url_rule("", view_func=self.page)
        routes.add_url_rule("/<name:name>", view_func=self.get, merge_slashes=False)
        return routes

    def page(self, job_id: str) -> Answer:
        """List the files that a job has made and that are still there."""
        limit, cursor = limit_of(DEFAULT_LIMIT, MAX_LIMIT), request.args.get("cursor", "")
        documents = [doc for output in self._outputs(job_id) for doc in self._documents(job_id, output)]
        names = [document["name"] for document in documents]
        start = names.index(cursor) + 1 if cursor in names else 0
        page = documents[start : start + limit]
        more = start + limit < len(documents)
        return json_answer(
            {"jobId": job_id, "files": page, "total": len(documents), "nextCursor": page[-1]["name"] if more else None}
        )

    def get(self, job_id: str, name: str) -> Any:
        """Give a file that a job has made; of one in a store, the address."""
        for output in self._outputs(job_id):
            below = name.removeprefix(f"{output.name}/") if output.is_directory else ""
            if (name == output.name and not output.is_directory) or below not in ("", name):
                if below:
                    parts_of(below)
                return self._given(output, below, name)
        raise file_not_found(name)

    def _outputs(self, job_id: str) -> list[Named]:
        return named(self._service.outputs(job_id))

    def _given(self, output: Named, below: str, name: str) -> Response | Any:
        try:
            if is_s3(output.uri):
                place = s3_place(output.uri)
                url = readable_url(self._s3, place.below(below) if below else place)
                return redirect(url, HTTPStatus.TEMPORARY_REDIRECT)
            return serve(self._opened(output, below), name)
        except (JobError, FileNotFoundError) as error:
            raise file_not_found(name) from error

    def _opened(self, output: Named, below: str) -> FileIO:
        path = self._roots.output(output.uri)
        return Tree(path).open(parts_of(below)) if below else Tree(path.parent).open((path.name,))

    def _documents(self, job_id: str, output: Named) -> list[dict[str, Any]]:
        """Describe the files of an output; none of one that lies where jobs may not write any more."""
        try:
            if is_s3(output.uri):
                return list(self._stored(output))
            path = self._roots.output(output.uri)
        except JobError:
            return []
        entries = off_the_hub(_entries, path, output.is_directory)
        return [_document(job_id, output, entry.name if output.is_directory else "", entry.facts) for entry in entries]

    def _stored(self, output: Named) -> Iterator[dict[str, Any]]:
        for found in listed(self._s3, s3_place(output.uri), directory=output.is_directory, watch=lambda: None):
            name = f"{output.name}/{found.name}" if found.name else output.name
            yield {
                "name": name,
                "uri": found.place.uri,
                "size": found.size,
                "type": media_type(name),
                "modifiedAt": timestamp(found.modified),
                "url": readable_url(self._s3, found.place),
            }


def named(outputs: Sequence[CommittedOutput]) -> list[Named]:
    """Give each output its name: the last part of its path, with its number before it if an earlier one has that."""
    found: dict[str, Named] = {}
    for number, output in enumerate(outputs, 1):
        name = output["uri"].rstrip("/").rpartition("/")[2] or "output"
        name = f"{number}-{name}" if name in found else name
        found[name] = Named(name, output["uri"], output["directory"])
    return list(found.values())


def _entries(path: Path, is_directory: bool) -> list[Entry]:
    if is_directory:
        return list(Tree(path).walk())
    facts = Tree(path.parent).facts((path.name,))
    return [Entry((path.name,), facts)] if facts else []


def _document(job_id: str, output: Named, below: str, facts: os.stat_result) -> dict[str, Any]:
    name, uri = output.name, output.uri
    if below:
        name, uri = f"{name}/{below}", f"{uri.rstrip('/')}/{below}"
    return {"name": name, "uri": uri, **facts_document(name, facts), "url": output_url(job_id, name)}
