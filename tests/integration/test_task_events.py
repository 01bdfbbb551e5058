"""Celery's task events, which Flower shows: sent when TASK_EVENTS says so, and never otherwise."""

import base64
import json
import signal
from typing import Any

from tests.integration.fleet import Fleet
from tests.waiting import eventually


class Listener:
    """Hears what workers publish for whoever watches them."""

    def __init__(self, fleet: Fleet) -> None:
        self._heard: list[dict[str, Any]] = []
        self._channel = fleet.platform.connector.client.pubsub(ignore_subscribe_messages=True)
        self._channel.psubscribe("*celeryev*")
        self._channel.get_message(timeout=5)

    def events(self) -> list[tuple[str, str]]:
        """The types and job ids of all task events so far."""
        while (message := self._channel.get_message(timeout=0.05)) is not None:
            self._heard.append(json.loads(message["data"]))
        bodies = [json.loads(_decoded(message)) for message in self._heard]
        events = [event for body in bodies for event in (body if isinstance(body, list) else [body])]
        return [(event["type"], event["uuid"]) for event in events if event["type"].startswith("task-")]


def _decoded(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["body"])


def test_events_tell_of_each_job_in_order(fleet: Fleet) -> None:
    listener = Listener(fleet)
    fleet.worker("noop", TASK_EVENTS="true")
    jobs = [fleet.submit("noop") for _ in range(5)]
    eventually(lambda: len(listener.events()) >= 15)
    for job in jobs:
        assert [kind for kind, uuid in listener.events() if uuid == job] == [
            "task-received",
            "task-started",
            "task-succeeded",
        ]


def test_without_them_a_worker_sends_nothing(fleet: Fleet) -> None:
    listener = Listener(fleet)
    worker = fleet.worker("noop")
    for job in [fleet.submit("noop") for _ in range(5)]:
        fleet.wait(job, "completed")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert listener.events() == []
