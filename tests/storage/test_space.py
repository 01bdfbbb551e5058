"""Disk space: counted, limited, and looked for before and during work; on a real small disk."""

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.storage.attempts import attempt, everything
from workplatform.errors import NoSpaceError
from workplatform.gauge import Gauge
from workplatform.pulse import Pulse
from workplatform.storage.local import LocalFiles
from workplatform.storage.space import Limits, taken_bytes, usage

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def limited(root: Path, limits: Limits, *, fence: int = 1) -> tuple[Pulse, LocalFiles]:
    """An attempt that is watched, not yet by anybody."""
    pulse = Pulse("job_1", fence, time_limit=timedelta(hours=1), on_change=threading.Event())
    files = attempt(root, fence)
    files.watch, files.limits = pulse.check, limits
    return pulse, files


def plan(files: LocalFiles, uri: str) -> Path:
    return files.output(uri, directory=False, last=None, owned=()).path


def test_what_lies_on_disk_is_counted_not_what_it_pretends(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "real").write_bytes(os.urandom(MIB))
    with (tmp_path / "deep" / "holes").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "deep" / "link").symlink_to("/usr")
    assert MIB <= taken_bytes(tmp_path / "deep") < 2 * MIB
    assert taken_bytes(tmp_path / "missing") == 0
    [found] = usage([tmp_path / "deep", tmp_path / "deep" / "er", tmp_path / "missing"])
    assert 2 * MIB <= found.taken_bytes < 4 * MIB


def test_an_attempt_over_its_limit_is_stopped_and_no_other(tmp_path: Path) -> None:
    gauge = Gauge(Limits(most_bytes=3 * MIB))
    greedy, greedy_files = limited(tmp_path, gauge.limits, fence=1)
    modest, modest_files = limited(tmp_path, gauge.limits, fence=2)
    gauge.add(greedy, greedy_files)
    gauge.add(modest, modest_files)
    plan(greedy_files, "greedy").write_bytes(os.urandom(2 * MIB))
    plan(modest_files, "modest").write_bytes(os.urandom(2 * MIB))
    gauge.look()
    greedy.check()
    (greedy_files.workdir / "scratch").write_bytes(os.urandom(2 * MIB))
    gauge.look()
    modest.check()
    with pytest.raises(NoSpaceError, match=r"took 4\.2 MB .* may take 3\.1 MB"):
        greedy.check()


def test_what_is_committed_counts_no_more(tmp_path: Path) -> None:
    gauge = Gauge(Limits(most_bytes=3 * MIB))
    pulse, files = limited(tmp_path, gauge.limits)
    gauge.add(pulse, files)
    for number in range(4):
        output = files.output(f"{number}.bin", directory=False, last=None, owned=())
        output.path.write_bytes(os.urandom(2 * MIB))
        files.publish(output)
        gauge.look()
    pulse.check()


def test_nothing_is_begun_on_a_full_disk(disk: Path) -> None:
    _, files = limited(disk, Limits(min_free_bytes=1 << 40))
    (disk / "others").write_bytes(bytes(7 * MIB))
    plan(files, "fits.bin")
    (disk / "more").write_bytes(bytes(MIB * 3 // 4))
    for begin in (lambda: plan(files, "new/out.bin"), files.require_room, lambda: files.workdir):
        with pytest.raises(NoSpaceError, match=r"0 MB are left, and 0 MB have to stay free \(MIN_FREE_BYTES\)"):
            begin()
    files.discard()
    assert everything(disk) == {"others", "more"}
    assert not (disk / "new").exists()


def test_where_a_disk_runs_full_the_one_that_takes_the_most_of_it_is_stopped(disk: Path, tmp_path: Path) -> None:
    gauge = Gauge(Limits(min_free_bytes=1 << 40))
    elsewhere, elsewhere_files = limited(tmp_path / "elsewhere", Limits(), fence=1)
    large, large_files = limited(disk, gauge.limits, fence=2)
    small, small_files = limited(disk, gauge.limits, fence=3)
    for pulse, files in ((elsewhere, elsewhere_files), (large, large_files), (small, small_files)):
        gauge.add(pulse, files)
    (tmp_path / "elsewhere").mkdir()
    plan(elsewhere_files, "out.bin").write_bytes(os.urandom(9 * MIB))
    small_path, large_path = plan(small_files, "small.bin"), plan(large_files, "large.bin")
    small_path.write_bytes(bytes(2 * MIB))
    large_path.write_bytes(bytes(4 * MIB))
    gauge.look()
    large.check()
    with large_path.open("ab") as file:
        file.write(bytes(MIB * 7 // 4))
    gauge.look()
    gauge.look()
    elsewhere.check()
    small.check()
    with pytest.raises(NoSpaceError, match="ran full"):
        large.check()
    large_files.discard()
    gauge.remove(large)
    gauge.look()
    small.check()


def test_writing_to_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(disk: Path) -> None:
    _, files = limited(disk, Limits())
    (disk / "others").write_bytes(bytes(8 * MIB - 4096 * 8))
    while True:
        try:
            (disk / f"more-{len(list(disk.iterdir()))}").write_bytes(bytes(4096))
        except OSError:
            break
    there = everything(disk)
    with pytest.raises(NoSpaceError, match=r"out\.bin"):
        plan(files, "out.bin")
    files.discard()
    assert {name for name in everything(disk) - there if not name.startswith("state/")} == set()
