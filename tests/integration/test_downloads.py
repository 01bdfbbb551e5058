"""Downloads by real workers: killed in the middle, and gone on with by another."""

import os
import signal
import socket
from pathlib import Path

from tests.integration.fleet import Fleet
from tests.receiver import Receiver, receiving
from tests.waiting import eventually
from tests.workers._origins import CONTENT, Origin, head_of


def test_a_killed_worker_leaves_its_part_to_the_next(fleet: Fleet) -> None:
    def hold_the_first(receiver: Receiver, connection: socket.socket) -> None:
        if receiver.connections > 1:
            Origin()(receiver, connection)
            return
        receiver.read(connection)
        connection.sendall(head_of("200 OK", {"ETag": '"one"', "Content-Length": str(len(CONTENT))}))
        connection.sendall(CONTENT[:200_000])
        receiver.hold()

    with receiving(hold_the_first) as receiver:
        fleet.start("scheduler")
        doomed = fleet.worker("download")
        job_id = fleet.submit("download", {"url": receiver.url, "outputPath": "file.bin"})
        eventually(lambda: any(part.stat().st_size for part in parts(fleet.folder)))
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait()
        have = max(part.stat().st_size for part in parts(fleet.folder))
        fleet.worker("download")
        job = fleet.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2)
    assert job["result"]["resumedBytes"] == have > 0
    assert receiver.requests[-1].headers["range"] == f"bytes={have}-"
    assert (fleet.folder / "file.bin").read_bytes() == CONTENT
    eventually(lambda: fleet.leftovers() == [])


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.glob(".job_*.part") if ".note." not in path.name]
