"""The browser's end, with its worker and without a trace, and what is said when it cannot begin."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.receiver import receiving
from tests.waiting import eventually
from tests.workers._pages import browsing_with, need_a_browser, processes_of, profiles_in, seen, site
from workplatform.errors import BrowserError, BrowserMissingError
from workplatform.testing import inline_job

BUSY = "<script>setInterval(() => {document.title = Math.random()}, 50); fetch('/here')</script>"
WORKER = """
import sys
from pathlib import Path
from workers._browser import visit
from workplatform.testing import inline_job
with inline_job(Path(sys.argv[1])) as run, visit(run.job, page_url=sys.argv[2], file_url=sys.argv[2]):
    pass
"""


@contextmanager
def visiting_worker(root: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that is in the midst of a visit."""
    with receiving(site({"/page": BUSY, "/here": "x"})) as receiver:
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(root), f"{receiver.url}/page"])
        try:
            eventually(lambda: len(receiver.requests) >= 2)
            assert len(processes_of(root / ".workplatform")) >= 3
            assert len(profiles_in(root)) == 1
            yield worker
        finally:
            worker.kill()
            worker.wait()


def test_a_killed_worker_leaves_no_browser_and_no_profile(tmp_path: Path) -> None:
    need_a_browser()
    with visiting_worker(tmp_path) as worker:
        worker.kill()
        eventually(lambda: not processes_of(tmp_path / ".workplatform"))
        eventually(lambda: not profiles_in(tmp_path))


def test_a_worker_killed_with_its_driver_leaves_no_browser_and_the_next_removes_the_profile(tmp_path: Path) -> None:
    need_a_browser()
    with visiting_worker(tmp_path) as worker:
        drivers = [
            process for process in processes_of(tmp_path / ".workplatform") if "_browser_driver" in process.cmdline()
        ]
        assert len(drivers) == 1
        drivers[0].suspend()  # so that it cannot tidy up
        worker.kill()
        drivers[0].kill()
        eventually(lambda: not processes_of(tmp_path / ".workplatform"))
    (left,) = profiles_in(tmp_path)
    with (
        receiving(site({"/page": "<script>document.cookie = 'a=b'</script>"})) as receiver,
        browsing_with() as browsers,
    ):
        with inline_job(tmp_path) as run:
            seen(run.job, browsers, f"{receiver.url}/page")
        assert left not in profiles_in(tmp_path)


@pytest.mark.parametrize(
    ("named", "mend"),
    [
        ({"CHROMIUM_BIN": "/nowhere/chromium"}, "CHROMIUM_BIN=/nowhere/chromium is no program: correct it"),
        ({"CHROMIUM_BIN": "", "PATH": "/nowhere"}, "there is no Chromium: install it"),
        ({"CHROMIUM_BIN": sys.executable, "BROWSER_PYTHON": "/nowhere/python"}, "BROWSER_PYTHON=/nowhere/python is no"),
    ],
)
def test_a_missing_program_is_named_with_the_mend(
    named: dict[str, str], mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    with browsing_with() as browsers, inline_job(tmp_path) as run, pytest.raises(BrowserMissingError, match=mend):
        seen(run.job, browsers, "http://127.0.0.1:4000/page")


def test_a_missing_pyppeteer_is_named_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without site-packages
    bare.chmod(0o755)
    monkeypatch.setenv("CHROMIUM_BIN", sys.executable)
    monkeypatch.setenv("BROWSER_PYTHON", str(bare))
    missing = r"pyppeteer.*workplatform browser install"
    with browsing_with() as browsers, inline_job(tmp_path) as run, pytest.raises(BrowserMissingError, match=missing):
        seen(run.job, browsers, "http://127.0.0.1:4000/page")


def test_a_browser_that_cannot_start_says_what_it_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_a_browser()
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no usable sandbox >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CHROMIUM_BIN", str(broken))
    reason = "did not start: no usable sandbox"
    with browsing_with() as browsers, inline_job(tmp_path) as run, pytest.raises(BrowserError, match=reason):
        seen(run.job, browsers, "http://127.0.0.1:4000/page")
