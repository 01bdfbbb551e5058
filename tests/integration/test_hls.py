"""HLS jobs by real workers: killed in the middle of encoding, gone on with by another, seen early, withdrawn."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.integration.fleet import Fleet, running_fleet
from tests.waiting import eventually
from tests.workers import _samples_video as samples
from tests.workers._seams import TWO, tapes

SECONDS, RATE = 30, 10


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose ffmpeg reads its input at five times the speed of playing, with a film of five groups."""
    program = samples.slow_ffmpeg(tmp_path / "slow_ffmpeg")
    samples.plain(tmp_path / "film.mp4", size="160x90", rate=RATE, duration=SECONDS)
    with running_fleet(tmp_path, FFMPEG_BIN=str(program)) as fleet:
        fleet.start("scheduler")
        yield fleet


def quick(fleet: Fleet) -> None:
    """Start a worker that encodes as fast as it can."""
    fleet.worker("hls", FFMPEG_BIN=imageio_ffmpeg.get_ffmpeg_exe())


def submit(fleet: Fleet, **more: object) -> str:
    payload = {"inputPath": "film.mp4", "outputDir": "out", "qualities": TWO, "passthrough": False, **more}
    return fleet.submit("hls", payload)


def test_a_killed_worker_leaves_its_segments_to_the_next(slow: Fleet) -> None:
    doomed = slow.worker("hls")
    job_id = submit(slow)
    eventually(lambda: all(list(slow.folder.glob(f".job_*/{name}/segment_00001.ts")) for name in ("high", "low")))
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    quick(slow)
    job = slow.wait(job_id)
    assert (job["status"], job["attempts"]) == ("completed", 2), job
    log = [line.text for line in slow.platform.service.logs(job_id)]
    assert [line for line in log if line.startswith("going on after")], log
    assert not [line for line in log if "not possible" in line], log
    for tape in tapes(slow.folder / "out").values():
        steps = {after - before for before, after in pairwise(sorted(tape.pictures))}
        assert (tape.decoded, steps, tape.breaks) == (SECONDS * RATE, {90_000 // RATE}, 0)
        assert {after - before for before, after in pairwise(tape.sounds)} == {1920}
    eventually(lambda: slow.leftovers() == [])


def test_what_a_cancelled_job_showed_early_is_withdrawn_though_its_worker_is_dead(slow: Fleet) -> None:
    doomed = slow.worker("hls")
    job_id = submit(slow, earlyMaster=True)
    out = slow.folder / "out"
    eventually((out / "master.m3u8").exists)
    assert "low/playlist.m3u8" in (out / "master.m3u8").read_text()
    assert slow.job(job_id)["status"] == "running"
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    assert slow.platform.service.cancel(job_id) == "cancelled"
    assert (out / "master.m3u8").exists()
    slow.worker("hls")
    eventually(lambda: not out.exists())
    eventually(lambda: slow.leftovers() == [])


def test_what_is_shown_early_outlives_a_killed_worker_and_becomes_the_whole(slow: Fleet) -> None:
    doomed = slow.worker("hls")
    job_id = submit(slow, earlyMaster=True)
    out = slow.folder / "out"
    eventually(lambda: list(slow.folder.glob(".job_*/high/segment_00001.ts")))
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.wait()
    assert "#EXT-X-ENDLIST" not in (out / "low" / "playlist.m3u8").read_text()
    quick(slow)
    assert slow.wait(job_id)["status"] == "completed"
    assert (out / "master.m3u8").read_text().count("#EXT-X-STREAM-INF") == 2
    assert "#EXT-X-ENDLIST" in (out / "low" / "playlist.m3u8").read_text()
    assert all(tape.decoded == SECONDS * RATE for tape in tapes(out).values())
    eventually(lambda: slow.leftovers() == [])
