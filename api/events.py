"""/api/events: what happens to jobs, as server-sent events.

| parameter | meaning |
|---|---|
| jobId | only these jobs (comma-separated, at most 100); first comes `job:snapshot` of each: the job as GET shows it |
| flow | only the jobs of this flow, in the same way |
| type | only jobs of these types (comma-separated) |
| named | 1 sets the `event:` field, for addEventListener; without it everything comes to onmessage |
| lastEventId | like the Last-Event-ID header: what happened since comes first, in place of the snapshot |
| token | the API key, since EventSource sends no headers |

Events about the stream are always named, so onmessage does not see them: `stream:unavailable` and `stream:resumed` when
the job store goes and comes back, `stream:reset` when events were lost (the newest 20,000 are kept).
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from flask import Response, request
from flask_sse import ServerSentEventsBlueprint

from api.catchup import CatchUp, StreamClosed
from api.frames import RETRY_MS, Selection, event_id
from api.hub import Hub
from api.listener import Listener
from api.problems import bad_parameter
from workplatform.errors import JobNotFoundError, StoreUnavailableError
from workplatform.grouping import GroupService
from workplatform.service import JobService

MAX_JOB_IDS: Final = 100
_OPENING = b": connected\nretry: %d\n\n" % RETRY_MS
_PLACING_S: Final = 1.0


class EventRoutes(ServerSentEventsBlueprint):
    """flask_sse's blueprint, with the hub in place of one Redis connection a client."""

    def __init__(self, service: JobService, groups: GroupService, hub: Hub) -> None:
        super().__init__("events", __name__, url_prefix="/api/events")
        self._service = service
        self._groups = groups
        self._hub = hub
        self.add_url_rule("", endpoint="stream", view_func=self.stream)

    def stream(self) -> Response:
        """Answer with the stream; raises RequestError, JobNotFoundError for `jobId`, GroupNotFoundError for `flow`."""
        selection = self._selection()
        self._require(selection.job_ids)
        listener = Listener(selection, request.environ.get("gunicorn.socket"))
        return Response(
            self.messages(listener, _last_seen()),
            mimetype="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def messages(self, listener: Listener, last_seen: str) -> Iterator[bytes]:
        """Yield the stream of one client.

        The hub is joined before the first byte, so whatever a client does after it saw that byte is in its stream.
        """
        try:
            self._hub.join(listener)
            listener.is_placed.wait(_PLACING_S)
            yield _OPENING
            with suppress(StreamClosed):
                yield from CatchUp(self._service, listener, last_seen).told()
                yield from listener.live()
        finally:
            self._hub.leave(listener)

    def _selection(self) -> Selection:
        return Selection(
            job_ids=_words("jobId") | self._jobs_of_flow(),
            types=self._known_types(),
            named=request.args.get("named", "") not in ("", "0", "false"),
            chunked=request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1",
        )

    def _jobs_of_flow(self) -> frozenset[str]:
        flow = request.args.get("flow", "")
        return frozenset(self._groups.flow_jobs(flow)) if flow else frozenset()

    def _known_types(self) -> frozenset[str]:
        types = _words("type")
        registry = self._service.registry
        if unknown := sorted(types - set(registry)):
            raise bad_parameter("type", f"there is no {', '.join(unknown)}; there are {', '.join(sorted(registry))}")
        return types

    def _require(self, job_ids: frozenset[str]) -> None:
        """Refuse ids of no job. While the store is away nobody can tell: EventSource gives up at an error, so wait."""
        if len(job_ids) > MAX_JOB_IDS:
            raise bad_parameter("jobId", f"may name {MAX_JOB_IDS} jobs")
        if job_ids:
            with suppress(StoreUnavailableError):
                _, documents = self._service.snapshots(sorted(job_ids))
                missing = job_ids - {document["jobId"] for document in documents}
                if missing:
                    raise JobNotFoundError(f"there is no job {', '.join(sorted(missing))}")


def _words(name: str) -> frozenset[str]:
    """Return the words of a parameter that may be repeated and may hold several, separated by commas."""
    given = ",".join(request.args.getlist(name)).split(",")
    return frozenset(word.strip() for word in given if word.strip())


def _last_seen() -> str:
    """Return where the client was; an id that is not ours counts as none."""
    text = request.headers.get("Last-Event-ID") or request.args.get("lastEventId") or ""
    try:
        event_id(text)
    except ValueError:
        return ""
    return text
