"""Memory and speed of moving an object of 1.25 GiB to a store and back, against boto3's own transfers.

    python -m bench.store

The store is moto's server, in a process of its own; each way runs in a fresh process, whose peak memory is its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from pydantic import SecretStr

from bench._servers import free_port
from bench._table import print_table
from workplatform.storage.s3 import Account
from workplatform.testing import inline_job

SIZE = 1280 << 20
BUCKET = "bench"


def client(url: str) -> Any:
    """Return a plain boto3 client, patient with a slow store."""
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    config = Config(read_timeout=600)
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=config, **keys)


def create_bucket(url: str) -> None:
    """Make the bucket, as soon as the store answers."""
    for _ in range(100):
        try:
            client(url).create_bucket(Bucket=BUCKET)
        except EndpointConnectionError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("moto's server does not start")


def ours(url: str, folder: Path) -> tuple[float, float]:
    """Send and fetch as a job does; returns both times in seconds."""
    account = Account(url, "us-east-1", SecretStr("key"), SecretStr("secret"), (BUCKET,))
    started = time.perf_counter()
    with inline_job(folder, account=account) as run:
        output = run.job.output(f"s3://{BUCKET}/ours")
        (folder / "large").rename(output.path)
    sent = time.perf_counter()
    with inline_job(folder, account=account) as run:
        run.job.input(f"s3://{BUCKET}/ours").rename(folder / "large")
    return sent - started, time.perf_counter() - sent


def theirs(url: str, folder: Path) -> tuple[float, float]:
    """Send and fetch with boto3's defaults."""
    store = client(url)
    started = time.perf_counter()
    store.upload_file(str(folder / "large"), BUCKET, "theirs")
    sent = time.perf_counter()
    store.download_file(BUCKET, "theirs", str(folder / "large"))
    return sent - started, time.perf_counter() - sent


def one(who: str, url: str, folder: Path) -> None:
    """Run one way in this process, and print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    up_s, down_s = {"ours": ours, "theirs": theirs}[who](url, folder)
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(up_s, down_s, grown_mib)


def main() -> int:
    """Measure and print; returns the exit code."""
    port, rows = free_port(), []
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryDirectory() as name:
        store = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with (Path(name) / "large").open("wb") as file:
                file.truncate(SIZE)
            create_bucket(url)
            for who, label in (("ours", "a job's transfers"), ("theirs", "boto3's transfers")):
                words = [sys.executable, "-m", "bench.store", who, url, name]
                told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
                up_s, down_s, grown_mib = map(float, told)
                rates = (f"{SIZE / 1e6 / seconds:.0f} MB/s" for seconds in (up_s, down_s))
                rows.append((label, *rates, f"{grown_mib:.0f} MiB"))
        finally:
            store.terminate()
            store.wait()
    print_table(("1.25 GiB by", "up", "down", "memory grown"), rows)
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
