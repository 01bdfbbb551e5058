"""Which payloads of downloads are taken, and what is said of the others."""

from typing import Any

import pytest

from workplatform.celery_app import Wakeups
from workplatform.errors import InvalidSubmissionError
from workplatform.registry import discover
from workplatform.submission import Submitter

SUBMITTER = Submitter(discover(["workers"]), Wakeups())
URL = "https://cdn.example.com/f.mp4"
RECORD = {"id": 1, "fileUrl": URL, "backupPath": "v/f.mp4"}
FILE = {"url": URL, "outputPath": "f.mp4"}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "payload: url (or fileUrl) is required"),
    ({"url": URL}, "payload: outputPath (or destPath) is required"),
    ({**FILE, "fileUrl": URL}, "url and fileUrl both say the file: give one of them"),
    ({**FILE, "destPath": "x"}, "outputPath and destPath both say where it goes"),
    (
        {"records": [RECORD], "dataDir": "d", "url": URL, "sha256": "0" * 64},
        "url, sha256 cannot be given beside records",
    ),
    ({"records": [RECORD]}, "records need dataDir"),
    ({**FILE, "dataDir": "d"}, "dataDir is for records"),
    ({"records": [], "dataDir": "d"}, "payload.records: "),
    ({"records": [RECORD, RECORD], "dataDir": "d"}, "records 0 and 1 have the same backupPath 'v/f.mp4'"),
    ({"records": [{**RECORD, "backupPath": "../x"}], "dataDir": "d"}, "payload.records.0.backupPath: must stay inside"),
    ({"records": [{"id": 1, "backupPath": "x"}], "dataDir": "d"}, "payload.records.0.fileUrl: is required"),
    ({**FILE, "url": "ftp://example.com/f"}, "payload.url: the URL must start with http"),
    ({**FILE, "url": "http://u:p@example.com/f"}, "payload.url: the URL of example.com must not carry a user name"),
    ({**FILE, "usePuppeteer": True}, "usePuppeteer needs pageUrl, or a referer"),
    ({**FILE, "sha256": "abc"}, "payload.sha256: "),
    ({**FILE, "maxBytes": 0}, "payload.maxBytes: "),
    ({**FILE, "expectType": "video"}, "payload.expectType: must be a media type such as video/*"),
    ({**FILE, "headers": {"Host": "other"}}, "payload.headers: Host is set by the platform"),
    ({**FILE, "headers": {"Range": "bytes=0-"}}, "payload.headers: Range is set by the platform"),
    ({**FILE, "urll": URL}, "payload.urll: unknown field"),
]


@pytest.mark.parametrize(("payload", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_cannot_be_meant_is_refused_by_name(payload: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSubmissionError) as failure:
        SUBMITTER.prepare({"type": "download", "payload": payload})
    assert said in failure.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"X-Key": "s3cret\r\nX: y"}},
        {"cookies": "a=s3cret\r\nX: y"},
        {"cookies": {"a": "s3cret; b=c"}},
        {"cookies": [{"name": "a", "value": "s3cret\n"}]},
        {"cookies": [{"name": "a b", "value": "s3cret"}]},
        {"cookies": "=s3cret"},
    ],
)
def test_a_refusal_never_repeats_a_secret(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidSubmissionError) as failure:
        SUBMITTER.prepare({"type": "download", "payload": FILE | fields})
    assert "s3cret" not in failure.value.message + str(failure.value.problems)


@pytest.mark.parametrize(
    "payload",
    [
        {**FILE, "usePuppeteer": True, "headers": {"referer": "https://example.com/"}},
        {**FILE, "usePuppeteer": True, "pageUrl": "https://example.com/"},
        {
            **FILE,
            "cookies": [{"name": "a", "value": "b", "domain": ".example.com", "expirationDate": 1, "hostOnly": True}],
        },
        {"records": [{**RECORD, "pageUrl": None, "title": "x", "views": 3}], "dataDir": "/data"},
    ],
)
def test_what_callers_send_is_taken(payload: dict[str, Any]) -> None:
    assert SUBMITTER.prepare({"type": "download", "payload": payload}).type == "download"
