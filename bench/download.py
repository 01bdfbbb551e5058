"""A download of a gigabyte from this machine: against requests' iter_content, pycurl and the curl program.

    pip install pycurl; apt-get install curl
    python -m bench.download [--mib 1024] [--rounds 5] [--folder /dev/shm]

Every fetch is a process of its own, which first fetches a small file to be warm; the server sends by sendfile. Ratios
are medians of the rounds' own ratios, by the clock and by the CPU time of the fetching process. The last column is by
how much the process grew while it fetched. With a checksum, the CPU time over that without is compared with what
hashing as much memory takes.
"""

import argparse
import hashlib
import importlib.util
import multiprocessing
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests

from bench._table import print_table
from workers.download import download
from workplatform.testing import run_inline

_MIB = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_SPEED_TO_REQUESTS, _SPEED_TO_PYCURL, _GROWTH_MB, _HASH_SHARE = 1.5, 0.9, 8.0, 1.25


@dataclass(frozen=True)
class Spent:
    """What one fetch took."""

    wall_s: float
    cpu_s: float
    grown_mb: float


def main() -> None:
    """Print the tables; exit 1 if a rival is missing or a target is missed."""
    parser = argparse.ArgumentParser(description="Download against requests, pycurl and curl")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))  # noqa: S108 - memory, so that no disk is measured
    options = parser.parse_args()
    if importlib.util.find_spec("pycurl") is None or shutil.which("curl") is None:
        sys.exit("the rivals are missing: pip install pycurl; apt-get install curl")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for file, size in (("small", _MIB), ("large", options.mib * _MIB)):
            make_file(folder / file, size)
        with socket.create_server(("127.0.0.1", 0)) as server:
            process = multiprocessing.Process(target=serve, args=(server, folder), daemon=True)
            process.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            rounds = [compare(url, folder) for _ in range(options.rounds)]
            process.terminate()
    sys.exit(1 if report(rounds, options.mib * _MIB) else 0)


def make_file(path: Path, size: int) -> None:
    """Write a file that no layer can shrink."""
    piece = hashlib.shake_128(b"piece").digest(_MIB)
    with path.open("wb") as file:
        for _ in range(size // _MIB):
            file.write(piece)


def serve(server: socket.socket, folder: Path) -> None:
    """Give files of the folder to whoever asks, a thread for each."""
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection, folder), daemon=True).start()


def answer(connection: socket.socket, folder: Path) -> None:
    """Answer requests until the client goes."""
    with connection, suppress(OSError), connection.makefile("rb") as stream:
        while line := stream.readline():
            while stream.readline().strip():
                pass
            path = folder / line.split(b" ")[1].decode().strip("/")
            with path.open("rb") as file:
                head = f'HTTP/1.1 200 OK\r\nContent-Length: {path.stat().st_size}\r\nETag: "one"\r\n\r\n'
                connection.sendall(head.encode())
                connection.sendfile(file)


def by_us(url: str, target: Path, *, sha256: str | None = None) -> None:
    """Fetch as a worker does."""
    payload = {"url": url, "outputPath": target.name} | ({"sha256": sha256} if sha256 else {})
    run_inline(download, payload, root=target.parent)


def by_requests(url: str, target: Path, *, with_sha256: bool = False) -> None:
    """Fetch as most programs do."""
    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=60) as found, target.open("wb") as file:
        for piece in found.iter_content(64 * 1024):
            file.write(piece)
            if with_sha256:
                digest.update(piece)


def by_pycurl(url: str, target: Path) -> None:
    """Fetch by libcurl with large reads."""
    pycurl: Any = importlib.import_module("pycurl")
    curl = pycurl.Curl()
    with target.open("wb") as file:
        for option, value in ((pycurl.URL, url), (pycurl.WRITEDATA, file), (pycurl.BUFFERSIZE, 512 * 1024)):
            curl.setopt(option, value)
        curl.perform()
        curl.close()


def by_curl(url: str, target: Path) -> None:
    """Fetch by the program."""
    subprocess.run(["curl", "-s", "-o", str(target), url], check=True)


def hashing(_url: str, target: Path) -> None:
    """Hash as much as is fetched, from memory."""
    piece = bytes(_PIECE_BYTES)
    digest = hashlib.sha256()
    for _ in range((target.parent / "large").stat().st_size // _PIECE_BYTES):
        digest.update(piece)


def compare(url: str, folder: Path) -> dict[str, Spent]:
    """Run every way once."""
    with (folder / "large").open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "ours": measured(by_us, url, folder),
        "requests 64 KiB": measured(by_requests, url, folder),
        "pycurl 512 KiB": measured(by_pycurl, url, folder),
        "curl": measured(by_curl, url, folder),
        "ours, sha256": measured(lambda url, target: by_us(url, target, sha256=sha256), url, folder, is_warm=True),
        "requests, sha256": measured(lambda url, target: by_requests(url, target, with_sha256=True), url, folder),
        "sha256 alone": measured(hashing, url, folder, is_warm=True),
    }


def measured(fetch: Callable[[str, Path], None], url: str, folder: Path, *, is_warm: bool = False) -> Spent:
    """Fetch in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=fetch_once, args=(fetch, url, folder, theirs), kwargs={"is_warm": is_warm})
    process.start()
    theirs.close()
    spent: Spent = ours.recv()
    process.join()
    (folder / "fetched").unlink(missing_ok=True)
    return spent


def fetch_once(fetch: Callable[[str, Path], None], url: str, folder: Path, told: Connection, *, is_warm: bool) -> None:
    """Warm up, fetch, and tell what it took."""
    (by_us if is_warm else fetch)(f"{url}/small", folder / "fetched")
    before, begun = usage(), time.monotonic()
    fetch(f"{url}/large", folder / "fetched")
    wall_s, after = time.monotonic() - begun, usage()
    told.send(Spent(wall_s, after[0] - before[0], (after[1] - before[1]) / 1000))


def usage() -> tuple[float, int]:
    """Return the CPU seconds of this process and its children, and its largest size in KiB."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both), both[0].ru_maxrss


def report(rounds: list[dict[str, Spent]], size: int) -> list[str]:
    """Print the table and the promises; return those that are not kept."""
    rows = []
    for name in rounds[0]:
        wall_s = statistics.median(one[name].wall_s for one in rounds)
        speed, cpu = ratio(rounds, name, "wall_s"), ratio(rounds, name, "cpu_s")
        cpu_s = statistics.median(one[name].cpu_s for one in rounds)
        grown = max(one[name].grown_mb for one in rounds)
        rows.append([name, f"{size / wall_s / 1e6:.0f}", f"{cpu_s:.2f}", f"{speed:.2f}", f"{cpu:.2f}", f"{grown:.1f}"])
    print_table(["fetched by", "MB/s", "CPU s", "x speed of requests", "x CPU", "grew MB"], rows)
    hash_share = statistics.median(
        (one["ours, sha256"].cpu_s - one["ours"].cpu_s) / one["sha256 alone"].cpu_s for one in rounds
    )
    promises = {
        f"speed to requests >= {_SPEED_TO_REQUESTS}": ratio(rounds, "ours", "wall_s") >= _SPEED_TO_REQUESTS,
        f"speed to pycurl >= {_SPEED_TO_PYCURL}": statistics.median(
            one["pycurl 512 KiB"].wall_s / one["ours"].wall_s for one in rounds
        )
        >= _SPEED_TO_PYCURL,
        f"grows by <= {_GROWTH_MB} MB": max(one["ours"].grown_mb for one in rounds) <= _GROWTH_MB,
        f"sha256 costs {hash_share:.2f} of hashing alone, <= {_HASH_SHARE}": hash_share <= _HASH_SHARE,
    }
    for promise, is_kept in promises.items():
        print(f"{'kept' if is_kept else 'MISSED'}: {promise}")
    return [promise for promise, is_kept in promises.items() if not is_kept]


def ratio(rounds: list[dict[str, Spent]], name: str, what: str) -> float:
    """Return how many times better than requests it was, as the median of the rounds."""
    return statistics.median(getattr(one["requests 64 KiB"], what) / getattr(one[name], what) for one in rounds)


if __name__ == "__main__":
    main()
