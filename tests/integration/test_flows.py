"""Flows and batches end to end: real workers, real files, a scheduler that is killed between."""

import json
import signal
from typing import Any

from tests.integration.fleet import Fleet
from tests.receiver import Receiver, answering, receiving
from tests.waiting import eventually
from tests.workers._origins import Origin
from tests.workers._samples_video import plain

FLOW = dict[str, Any]


def submitted(fleet: Fleet, steps: FLOW, **more: Any) -> str:
    return fleet.platform.groups.create_flow({"steps": steps, **more}).flow_id


def flow(fleet: Fleet, flow_id: str) -> FLOW:
    return fleet.platform.groups.flow(flow_id)


def ended(fleet: Fleet, flow_id: str, status: str) -> FLOW:
    eventually(lambda: flow(fleet, flow_id)["status"] == status, within_s=60)
    return flow(fleet, flow_id)


def statuses(document: FLOW) -> dict[str, str]:
    return {name: step["status"] for name, step in document["steps"].items()}


def told(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests]


def trace(*after: str, text: str = "", file: str = "trace.txt", **more: Any) -> FLOW:
    return {"type": "trace", "payload": {"path": file, "text": text}, "dependsOn": list(after), **more}


def test_a_film_is_fetched_cut_and_converted(fleet: Fleet) -> None:
    film = plain(fleet.folder / "source.mp4", size="160x90", rate=5, duration=1)
    steps: FLOW = {
        "convert": {
            "type": "webp",
            "payload": {"inputPath": "${cut.result.outputPath}", "outputPath": "pictures/${fetch.result.size}.webp"},
        },
        "cut": {
            "type": "thumbnail",
            "payload": {"videoPath": "${fetch.result.outputPath}", "outputPath": "film.png", "timestamp": 0},
        },
        "fetch": {"type": "download", "payload": {"url": "", "outputPath": "film.mp4"}},
    }
    for queue in ("download", "thumbnail", "webp", "http"):
        fleet.start("worker", queue)
    fleet.start("scheduler")
    with receiving(Origin(film.read_bytes())) as origin, receiving(answering()) as receiver:
        steps["fetch"]["payload"]["url"] = f"{origin.url}/film.mp4"
        flow_id = submitted(fleet, steps, callback=receiver.url, name="film")
        done = ended(fleet, flow_id, "completed")
        eventually(lambda: receiver.requests)
    picture = fleet.folder / "pictures" / f"{film.stat().st_size}.webp"
    assert picture.read_bytes()[8:12] == b"WEBP"
    assert done["result"]["convert"]["outputPath"] == f"pictures/{picture.name}"
    assert (done["progress"], done["counts"]["completed"]) == (100, 3)
    starts = [done["steps"][name]["startedAt"] for name in ("fetch", "cut", "convert")]
    assert starts == sorted(starts)
    [body] = told(receiver)
    assert (body["flowId"], body["name"], body["status"], body["error"]) == (flow_id, "film", "completed", None)
    assert body["result"] == done["result"]


def test_each_policy_has_its_way_and_a_retry_goes_on_from_the_failed_step(fleet: Fleet) -> None:
    (fleet.folder / "trace.txt").touch()
    fleet.worker("trace")
    fleet.start("scheduler")
    steps = {
        "good": trace(text="good"),
        "bad": trace("good", text="bad", file="missing.txt"),
        "strict": trace("bad", text="strict", onFailure="http://127.0.0.1:9/hook"),
        "skipped": trace("bad", text="skipped", onParentFailure="skip"),
        "stubborn": trace("bad", text="stubborn", onParentFailure="continue"),
        "after-strict": trace("strict", text="after-strict"),
        "after-skipped": trace("skipped", text="after-skipped", onParentFailure="continue"),
    }
    failed = ended(fleet, flow_id := submitted(fleet, steps), "failed")
    assert statuses(failed) == {
        "good": "completed",
        "bad": "failed",
        "strict": "failed",
        "skipped": "cancelled",
        "stubborn": "completed",
        "after-strict": "failed",
        "after-skipped": "completed",
    }
    by_name = failed["steps"]
    assert [by_name[name]["errorCode"] for name in ("bad", "strict", "after-strict")] == [
        "not_found",
        "dependency_failed",
        "dependency_failed",
    ]
    assert f"step bad ({by_name['bad']['jobId']})" in by_name["strict"]["error"]
    assert by_name["skipped"]["message"].startswith("skipped: step bad")
    assert fleet.events(by_name["strict"]["jobId"]) == ["job:queued", "job:failed"]
    hooks = fleet.platform.service.list(job_type="http").jobs
    assert [job["payload"]["body"]["jobId"] for job in hooks] == [by_name["strict"]["jobId"]]

    (fleet.folder / "missing.txt").touch()
    fleet.platform.groups.retry_flow(flow_id)
    done = ended(fleet, flow_id, "completed")
    assert set(statuses(done).values()) == {"completed"}
    ran = (fleet.folder / "trace.txt").read_text().split()
    assert sorted(ran) == ["after-skipped", "after-strict", "good", "skipped", "strict", "stubborn"]
    assert ran.index("strict") < ran.index("after-strict")
    assert done["steps"]["good"]["finishedAt"] == failed["steps"]["good"]["finishedAt"]


def test_a_running_flow_is_cancelled_as_one(fleet: Fleet) -> None:
    fleet.worker("nap")
    steps = {
        "long": {"type": "nap", "payload": {"path": "long", "seconds": 600}},
        "next": {"type": "nap", "payload": {"path": "next"}, "dependsOn": ["long"]},
        "last": {"type": "nap", "payload": {"path": "last"}, "dependsOn": ["next"]},
    }
    flow_id = submitted(fleet, steps)
    eventually(lambda: statuses(flow(fleet, flow_id))["long"] == "running")
    cancelled = fleet.platform.groups.cancel_flow(flow_id)
    assert (cancelled["status"], set(statuses(cancelled).values())) == ("cancelled", {"cancelled"})
    eventually(lambda: fleet.leftovers() == [])
    assert [path for path in fleet.folder.iterdir() if path.name in ("long", "next", "last")] == []


def test_schedulers_that_are_killed_between_end_each_step_and_the_flow_once(fleet: Fleet) -> None:
    fleet.worker("trace")
    chain = {f"s{number}": trace(f"s{number - 1}", onParentFailure="skip") for number in range(1, 40)}
    flow_id = submitted(fleet, {"s0": trace(file="missing.txt"), **chain}, callback="http://127.0.0.1:9/hook")
    eventually(lambda: statuses(flow(fleet, flow_id))["s0"] == "failed")
    assert statuses(flow(fleet, flow_id))["s1"] == "waiting"
    first = fleet.start("scheduler")
    eventually(lambda: statuses(flow(fleet, flow_id))["s1"] == "cancelled")
    first.send_signal(signal.SIGKILL)
    first.wait()
    for _ in range(2):
        fleet.start("scheduler")
    document = ended(fleet, flow_id, "failed")
    assert document["counts"]["cancelled"] == 39
    assert document["steps"]["s39"]["message"].startswith("skipped: step s38")
    for number in (1, 20, 39):
        assert fleet.events(document["steps"][f"s{number}"]["jobId"]) == ["job:queued", "job:cancelled"]
    eventually(lambda: fleet.platform.service.list(job_type="http").jobs)
    callbacks = fleet.platform.service.list(job_type="http").jobs
    assert [job["payload"]["body"]["flowId"] for job in callbacks] == [flow_id]


def test_a_batch_tells_its_end_once_and_its_rest_is_retried(fleet: Fleet) -> None:
    for queue in ("noop", "trace", "http"):
        fleet.start("worker", queue)
    for _ in range(2):
        fleet.start("scheduler")
    groups, service = fleet.platform.groups, fleet.platform.service
    with receiving(answering()) as receiver:
        batch, batch_id = groups.batch_of({"jobs": [0], "callback": receiver.url, "onFailure": receiver.url})
        documents = [{"type": "noop", "payload": {}}] * 20 + [trace(file="missing.txt")]
        service.create(groups.batched([service.prepare(document) for document in documents], batch, batch_id))
        eventually(lambda: len(receiver.requests) == 2)
        assert {(body["status"], body["counts"]["completed"], body["error"]) for body in told(receiver)} == {
            ("failed", 20, "1 of 21 jobs failed")
        }
        (fleet.folder / "missing.txt").touch()
        groups.work_on_batch(batch_id, "retry")
        eventually(lambda: len(receiver.requests) == 3)
        assert (told(receiver)[-1]["batchId"], told(receiver)[-1]["status"]) == (batch_id, "completed")
        assert (groups.batch(batch_id)["status"], groups.batch(batch_id)["progress"]) == ("completed", 100)
        assert service.list(job_type="http", status="queued").total == 0
    assert (fleet.folder / "missing.txt").read_text() == "\n"
