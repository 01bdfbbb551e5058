"""What lies in the S3 store at a place, and where a reader may fetch it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from workplatform.errors import InputNotFoundError, JobError
from workplatform.sockets import Watch
from workplatform.storage.s3 import S3, Lane
from workplatform.storage.uris import S3Place

_TRIES = 2


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: its place, its name below what was asked for ("" for that itself), and what is known of it."""

    place: S3Place
    name: str
    size: int | None = None
    modified: datetime | None = None


def listed(s3: S3, place: S3Place, *, directory: bool, watch: Watch) -> list[Listed]:
    """Return the object, or the objects below it; an object that cannot be asked for now is told without details."""
    s3.check(place)
    with s3.lane(watch, tries=_TRIES) as lane:
        if directory:
            return list(_below(lane, place))
        try:
            head = lane.call("head_object", place)
        except InputNotFoundError:
            return []
        except JobError:
            return [Listed(place, "")]
    return [Listed(place, "", int(head["ContentLength"]), head.get("LastModified"))]


def readable_url(s3: S3, place: S3Place) -> str:
    """Return the object's public address, or one that is signed and lasts for some hours."""
    s3.check(place)
    return s3.public_url(place) or s3.presigned(place)


def _below(lane: Lane, place: S3Place) -> Iterator[Listed]:
    prefix = f"{place.key}/"
    more: dict[str, str] = {}
    while True:
        answer = lane.ask_bucket("list_objects_v2", place, Prefix=prefix, **more)
        for found in answer.get("Contents", ()):
            name = found["Key"].removeprefix(prefix)
            if name:
                yield Listed(place.below(name), name, int(found["Size"]), found.get("LastModified"))
        if not answer.get("IsTruncated"):
            return
        more = {"ContinuationToken": answer["NextContinuationToken"]}
