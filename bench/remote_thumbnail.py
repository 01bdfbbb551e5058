"""Bytes fetched and time taken for a thumbnail of a remote film of 4 GB, against ffmpeg with the same URL.

    python -m bench.remote_thumbnail

A film of two hours is made (a minute, a hundred and twenty times over, so that its index is a real one) and stretched
to 4 GB by an empty box; once with the index at its end, once at its start. The server, on loopback, counts what it
sends.
"""

import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench._children import warm_children
from bench._table import print_table
from workers._ffmpeg import binary
from workers.thumbnail import thumbnail
from workplatform.registry import type_of
from workplatform.testing import inline_job

FILM_BYTES = 4 << 30
ROUNDS = 5
MOMENT_S = 3600
BLOCK = 64 << 10


class Counter:
    """What the server has been asked for and has sent."""

    def __init__(self) -> None:
        self.requests = self.sent = 0


@contextmanager
def serving(folder: Path, counter: Counter) -> Iterator[str]:
    """Serve the files of a folder, by ranges."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(OSError):
                answer(self, folder / self.path.strip("/"), counter)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def answer(handler: BaseHTTPRequestHandler, path: Path, counter: Counter) -> None:
    """Send what was asked for."""
    size = path.stat().st_size
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", "bytes=0-"))
    start, end = (int(asked[1]), min(int(asked[2] or size - 1) + 1, size)) if asked else (0, size)
    counter.requests += 1
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
    handler.send_header("Content-Length", str(end - start))
    handler.send_header("ETag", '"film"')
    handler.end_headers()
    with path.open("rb") as file:
        while start < end:
            sent = handler.connection.send(os.pread(file.fileno(), min(BLOCK, end - start), start))
            start, counter.sent = start + sent, counter.sent + sent


def make_film(path: Path, *options: str) -> None:
    """Make the film."""
    minute = path.with_name("minute.mp4")
    sources = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=25:duration=60",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=60",
    )
    run("-y", *sources, "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", minute)
    run("-y", "-stream_loop", "119", "-i", minute, "-c", "copy", *options, path)
    data = path.read_bytes()
    index, media = data.rindex(b"moov") - 4, data.index(b"mdat") - 4
    place = index if index > media else len(data)
    hole = FILM_BYTES - len(data)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack(">I4sQ", 1, b"free", hole))
        file.seek(place + hole)
        file.write(data[place:])
        file.truncate(FILM_BYTES)


def run(*words: object) -> None:
    """Run ffmpeg."""
    subprocess.run([binary(), "-hide_banner", "-loglevel", "error", *map(str, words)], check=True)


def measured(step: Callable[[], None], counter: Counter) -> tuple[float, float, int]:
    """Return seconds, megabytes sent and requests of a step."""
    counter.requests = counter.sent = 0
    started = time.perf_counter()
    step()
    return time.perf_counter() - started, counter.sent / 1e6, counter.requests


def main() -> int:
    """Measure and print; returns the exit code."""
    counter, rows = Counter(), []
    with tempfile.TemporaryDirectory() as name, serving(Path(name), counter) as url:
        folder = Path(name)
        make_film(folder / "end.mp4")
        make_film(folder / "start.mp4", "-movflags", "+faststart")
        children = warm_children(thumbnail)

        def ours(film: str) -> None:
            payload = {"videoPath": f"{url}/{film}", "outputPath": "ours.jpg", "timestamp": str(MOMENT_S)}
            declared = type_of(thumbnail)
            with inline_job(folder, children=children) as job:
                declared.handler(declared.payload_model.model_validate(payload), job.job)

        def theirs(film: str) -> None:
            run("-y", "-ss", MOMENT_S, "-i", f"{url}/{film}", "-frames:v", "1", "-vf", "scale=320:-2", folder / "t.jpg")

        for film in ("end.mp4", "start.mp4"):
            ours(film)  # warms the child
            rounds = [
                (measured(lambda f=film: ours(f), counter), measured(lambda f=film: theirs(f), counter))  # type: ignore[misc]
                for _ in range(ROUNDS)
            ]
            for who, column in (("job thumbnail", 0), ("ffmpeg -i URL", 1)):
                s, mb, requests = (statistics.median(one[column][item] for one in rounds) for item in range(3))
                rows.append(
                    (f"index at its {film.removesuffix('.mp4')}", who, f"{mb:.2f}", f"{requests:.0f}", f"{s:.3f}")
                )
        children.close()
    print_table(("film of 4 GB", "by", "MB sent", "requests", "seconds"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
