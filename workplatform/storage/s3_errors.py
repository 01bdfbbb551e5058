"""What the errors of boto3 and of the transport mean for a job."""

from dataclasses import dataclass
from typing import Any, Final

import requests
import urllib3.exceptions

from workplatform.errors import InputNotFoundError, JobError, StorageError, StorageRefusedError
from workplatform.outbound import failure_reason
from workplatform.storage.uris import S3Place

_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "InternalError"})
_BROKEN: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_GARBLED: Final = frozenset(
    {"ResponseParserError", "ResponseStreamingError", "IncompleteReadError", "ReadTimeoutError"}
)


class NoBucketError(StorageRefusedError):
    """There is no such bucket, nor anything in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The error to raise, and whether the same request may succeed in a moment."""

    error: JobError
    is_passing: bool


def judge(error: Exception, place: S3Place) -> Verdict | None:
    """Return what an error means, or None if it does not come from the store or the way to it."""
    if isinstance(error, _BROKEN):
        return Verdict(StorageError(f"{place.uri}: {failure_reason(error)}"), is_passing=True)
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return _answered(response, place)
    if not type(error).__module__.startswith("botocore."):
        return None
    name = type(error).__name__
    if name in _GARBLED:
        return Verdict(StorageError(f"{place.uri}: the store's answer is damaged"), is_passing=True)
    if "Credential" in name:
        sentence = "there are no credentials: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
        return Verdict(StorageRefusedError(f"{place.uri}: {sentence}"), is_passing=False)
    return Verdict(StorageError(f"{place.uri}: {error}"), is_passing=False)


def _answered(response: dict[str, Any], place: S3Place) -> Verdict:
    told = response.get("Error", {})
    code, status = str(told.get("Code", "")), int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status in _PASSING_STATUSES or code in _PASSING_CODES:
        answer = " ".join(dict.fromkeys((str(status), code))).rstrip()
        return Verdict(StorageError(f"{place.uri}: the store answered {answer}"), is_passing=True)
    return Verdict(_final(code, status, str(told.get("Message", "")), place), is_passing=False)


def _final(code: str, status: int, message: str, place: S3Place) -> JobError:
    if code == "NoSuchBucket":
        return NoBucketError(f"there is no bucket {place.bucket}")
    if code == "NoSuchUpload":
        return StorageError(f"{place.uri}: the store no longer knows the upload", is_gone=True)
    if status == 404:
        return InputNotFoundError(f"there is no file {place.uri}")
    if status == 412:
        return StorageError(f"{place.uri} changed while it was read")
    if status in (401, 403):
        return StorageRefusedError(f"{place.uri}: the store forbids it ({code or status})")
    return StorageRefusedError(f"{place.uri}: the store refused: {code or status} {message}".rstrip())
