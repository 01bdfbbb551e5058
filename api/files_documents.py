"""Files as JSON documents."""

import os
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from api.files_conditions import version_of
from api.files_names import FILES, media_type
from api.files_uploads import Uploads
from workplatform.wire import timestamp


def upload_document(uploads: Uploads, name: str, facts: os.stat_result) -> dict[str, Any]:
    """Render a file of the uploads; `path` is what a payload calls it."""
    return {
        "name": name,
        "path": uploads.path(name),
        **_facts(name, facts),
        "etag": f'"{version_of(facts).etag}"',
        "url": f"{FILES}/{quote(name)}",
    }


def output_document(job_id: str, name: str, uri: str, facts: os.stat_result | None) -> dict[str, Any]:
    """Render an output of a job; what is not known of one that lies elsewhere is null."""
    known = _facts(name, facts) if facts else {"size": None, "type": media_type(name), "modifiedAt": None}
    return {"name": name, "uri": uri, **known, "url": f"/api/jobs/{job_id}/files/{quote(name)}"}


def _facts(name: str, facts: os.stat_result) -> dict[str, Any]:
    modified_at = timestamp(datetime.fromtimestamp(facts.st_mtime, UTC))
    return {"size": facts.st_size, "type": media_type(name), "modifiedAt": modified_at}
