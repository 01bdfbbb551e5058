"""The vitals of a process and of the programs it starts."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from workplatform.vitals import Monitor, Vitals

BURN_S = 0.3
BURN = f"""
import time
while time.process_time() < {BURN_S}: pass
print("burnt", flush=True)
input()
"""


def spent_since(began: float, vitals: Vitals) -> float:
    """The CPU seconds of a reading, at most: it is rounded to a tenth of a percent, and made of ticks of 10 ms."""
    return (vitals.cpu_percent + 0.05) / 100 * (time.monotonic() - began)


def test_the_work_of_children_counts_once_and_their_memory_while_they_live(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        read_at = time.monotonic()
        alive = monitor.read()
        assert spent_since(began, alive) >= BURN_S * 0.8
        assert alive.memory_bytes > psutil.Process().memory_info().rss + 1_000_000
    ended = monitor.read()
    assert ended.cpu_percent / 100 * (time.monotonic() - read_at) < BURN_S, "counted twice"
    assert ended.memory_bytes < alive.memory_bytes


def test_work_of_a_child_that_ended_between_two_readings_is_not_lost(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path)
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", BURN], input=b"\n", stdout=subprocess.DEVNULL, check=True)
    assert spent_since(began, monitor.read()) >= BURN_S * 0.8


def test_an_idle_reading_counts_those_that_were_known_as_long_as_they_live(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        monitor = Monitor(tmp_path)
        alive = monitor.read(is_idle=True)
        with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert monitor.read(is_idle=True).memory_bytes < alive.memory_bytes + 2_000_000, "nobody looked for it"
            assert monitor.read().memory_bytes > alive.memory_bytes + 2_000_000
    assert monitor.read(is_idle=True).memory_bytes < alive.memory_bytes


def test_the_disk_is_looked_at_before_its_folder_exists(tmp_path: Path) -> None:
    assert Monitor(tmp_path / "not" / "yet").read().free_scratch_bytes > 0
