"""Files as JSON documents."""

import os
from datetime import UTC, datetime
from typing import Any

from api.files_conditions import version_of
from api.files_names import file_url, media_type
from api.files_uploads import Uploads
from workplatform.wire import timestamp


def upload_document(uploads: Uploads, name: str, facts: os.stat_result) -> dict[str, Any]:
    """Render a file of the uploads; `path` is what a payload calls it."""
    return {
        "name": name,
        "path": uploads.path(name),
        **facts_document(name, facts),
        "etag": f'"{version_of(facts).etag}"',
        "url": file_url(name),
    }


def facts_document(name: str, facts: os.stat_result) -> dict[str, Any]:
    """Render what is known of any file on disk."""
    modified_at = timestamp(datetime.fromtimestamp(facts.st_mtime, UTC))
    return {"size": facts.st_size, "type": media_type(name), "modifiedAt": modified_at}
