"""Series over the whole fleet: real workers of two nodes, one scheduler."""

from itertools import pairwise

from tests.integration.fleet import Fleet
from tests.waiting import eventually


def begun(fleet: Fleet) -> list[str]:
    return (fleet.folder / "order").read_text().split("\n")[:-1]


def message_of(fleet: Fleet, job_id: str) -> str | None:
    return str(fleet.job(job_id)["message"])


def test_one_runs_at_a_time_and_the_newest_supersedes_those_that_wait(fleet: Fleet) -> None:
    (fleet.folder / "order").touch()
    fleet.start("scheduler")
    for node in ("one", "two"):
        fleet.worker("alone", NODE_NAME=node)
    first = fleet.submit("alone", {"path": "order", "seconds": 3})
    fleet.wait(first, "running")
    later = [fleet.submit("alone", {"path": "order"}) for _ in range(9)]
    for job_id, newer in pairwise(later):
        job = fleet.wait(job_id)
        assert (job["status"], job["message"]) == ("cancelled", f"superseded by {newer}")
    job = fleet.wait(later[-1], "waiting", "running", "completed")
    assert job["waitingReason"] in ("series", None)
    assert fleet.wait(first)["status"] == "completed"
    assert fleet.wait(later[-1])["status"] == "completed"
    assert begun(fleet) == [f"begin {first}", f"end {first}", f"begin {later[-1]}", f"end {later[-1]}"]


def test_a_newer_job_may_cancel_a_running_one_and_waits_for_its_end(fleet: Fleet) -> None:
    (fleet.folder / "order").touch()
    fleet.start("scheduler")
    for node in ("one", "two"):
        fleet.worker("alone", NODE_NAME=node)
    first = fleet.submit("alone", {"path": "order", "seconds": 600})
    eventually(lambda: begun(fleet) == [f"begin {first}"])
    second = fleet.submit("alone", {"path": "order", "text": "now"})
    assert fleet.wait(first)["message"] == f"superseded by {second}"
    assert fleet.wait(second)["status"] == "completed"
    assert begun(fleet) == [f"begin {first}", f"end {first}", f"begin {second}", f"end {second}"]
