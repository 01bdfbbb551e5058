"""Secret fields of payloads, as people get to see them and as workers get them."""

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from tests.integration.fleet import running_fleet
from workers._download_models import DownloadPayload
from workers.http import HttpPayload
from workplatform.masking import MASK, masked_fields
from workplatform.models import SECRET, Payload

URL = "https://example.com/f"


class _Sample(Payload):
    some_secret: dict[str, Any] | None = Field(None, description="A secret", json_schema_extra=SECRET)
    open_field: str = Field("", description="None")


def test_values_are_masked_by_either_spelling_and_names_stay() -> None:
    given = {"someSecret": {"Authorization": "k", "n": 1, "more": ["k"], "nothing": None}, "openField": "seen"}
    shown = {"Authorization": MASK, "n": MASK, "more": [MASK], "nothing": None}
    assert masked_fields(_Sample, given) == {"someSecret": shown, "openField": "seen"}
    assert masked_fields(_Sample, {"some_secret": {"a": "k"}}) == {"some_secret": {"a": MASK}}
    assert masked_fields(_Sample, {"someSecret": None}) == {"someSecret": None}


def test_headers_and_cookies_of_every_form_are_secret() -> None:
    for cookies in ("sid=k", {"sid": "k"}, [{"name": "sid", "value": "k", "domain": "example.com"}]):
        shown = masked_fields(DownloadPayload, {"url": URL, "headers": {"X-Key": "k"}, "cookies": cookies})
        assert shown["headers"] == {"X-Key": MASK}
        assert '"k"' not in json.dumps(shown) and "=k" not in json.dumps(shown)
        assert shown["url"] == URL
    assert masked_fields(HttpPayload, {"url": URL, "headers": {"Authorization": "k"}})["headers"] == {
        "Authorization": MASK
    }


def test_a_job_shows_masks_and_its_worker_gets_the_values(tmp_path: Path) -> None:
    with running_fleet(tmp_path) as fleet:
        payload = {"url": URL, "outputPath": "f", "headers": {"X-Key": "s3cret"}, "cookies": "sid=s3cret"}
        job_id = fleet.submit("download", payload)
        service = fleet.platform.service
        for shown in (service.get(job_id), service.list().jobs[0], service.snapshots([job_id])[1][0]):
            assert shown["payload"] == payload | {"headers": {"X-Key": MASK}, "cookies": MASK}
        assert fleet.platform.store.get(job_id).spec["payload"] == payload
        assert "s3cret" not in str(service.events.after("0-0", limit=1000))
