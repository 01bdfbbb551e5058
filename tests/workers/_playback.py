"""Plays an HLS stream in real Chromium, which reads HLS by itself, and tells what its viewer would see."""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually
from workplatform import browsing
from workplatform.errors import BrowserMissingError

_PATIENCE_S = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)
_TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".m4s": "video/mp4"}
# Plays from the start until time goes on, goes on at five sixths, and plays on from there.
_PAGE = """<!doctype html><video id="video" muted playsinline></video><script>
const video = document.getElementById("video");
const tell = (event, more) => fetch("/told", {method: "POST", body: JSON.stringify({event, at: video.currentTime,
  duration: video.duration, size: [video.videoWidth, video.videoHeight], ...more})});
let target = null;
video.addEventListener("timeupdate", () => {
  if (target === null && video.currentTime > 0.2) {
    target = video.duration * 5 / 6;
    tell("advanced").then(() => { video.currentTime = target; });
  } else if (target !== null && !video.seeking && video.currentTime > target + 0.2) {
    video.pause();
    tell("resumed");
  }
});
video.addEventListener("error", () => tell("error", {reason: video.error.message}));
video.src = "PLAYLIST";
video.play().catch(reason => tell("error", {reason: String(reason)}));
</script>"""


@dataclass(frozen=True)
class Moment:
    """What the player told when something happened; seconds and pixels."""

    event: str
    at: float
    duration: float
    size: tuple[int, int]


@dataclass
class _Audience:
    """What the page has told so far, and which files it has fetched."""

    told: list[dict[str, Any]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return any(one["event"] in ("resumed", "error") for one in self.told)


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder, the page, and takes what the page tells."""

    def __init__(self, *words: Any, audience: _Audience, playlist: str, **options: Any) -> None:
        self.audience, self.page = audience, _PAGE.replace("PLAYLIST", f"/{playlist}").encode()
        self.extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **_TYPES}
        super().__init__(*words, **options)

    def do_GET(self) -> None:
        """Serve the page or a file."""
        self.audience.fetched.append(self.path)
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def do_POST(self) -> None:
        """Take what the page tells."""
        self.audience.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's signature
        """Say nothing."""


def need_chromium() -> str:
    """Return the program; skip the test, in CI fail it, where there is none."""
    try:
        return browsing.program()
    except BrowserMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(error.message)
        pytest.skip(error.message)


def play(folder: Path, playlist: str, profile: Path) -> dict[str, Moment]:
    """Play a stream, seek into its last third and play on; return the moments by their event."""
    audience = _Audience()
    handler = partial(_Handler, directory=str(folder), audience=audience, playlist=playlist)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with _browser(f"http://127.0.0.1:{server.server_port}/", profile):
                eventually(lambda: audience.is_over, within_s=_PATIENCE_S)
        finally:
            server.shutdown()
    assert not [one for one in audience.told if one["event"] == "error"], audience
    return {one["event"]: Moment(one["event"], one["at"], one["duration"], tuple(one["size"])) for one in audience.told}


@contextmanager
def _browser(url: str, profile: Path) -> Iterator[None]:
    """Show a page; the browser ends with all its processes, and its profile goes."""
    command = [need_chromium(), *_FLAGS, f"--user-data-dir={profile}", url]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, start_new_session=True, stdout=nowhere, stderr=nowhere) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(profile, ignore_errors=True)
