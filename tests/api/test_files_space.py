"""Uploads to a disk that is nearly full: what has to stay free stays free, as the store writes there too."""

import os
from pathlib import Path

import requests

from tests.api.filing import on_disk, on_their_way
from tests.api.running import running_both
from tests.disks import small_disk


def test_no_upload_takes_what_has_to_stay_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, running_both(disk) as api:
        url, block = f"{api.url}/api/files", bytes(100_000)
        facts = os.statvfs(disk)
        fits = facts.f_bavail * facts.f_frsize - 100_000  # of which a twentieth of the disk is to be left
        total = fits + 10_000
        refused = [
            requests.put(f"{url}/a", data=bytes(fits), timeout=20),
            requests.put(f"{url}/b", data=iter([block] * (total // len(block))), timeout=20),
            requests.put(
                f"{url}/c", data=bytes(fits), headers={"Content-Range": f"bytes 0-{fits - 1}/{total}"}, timeout=20
            ),
            requests.post(url, files={"file": ("d", bytes(fits))}, timeout=20),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(507, "no_space")] * 4
        assert on_disk(api) == set()
        assert on_their_way(api) == []
        assert requests.put(f"{url}/e", data=block, timeout=20).status_code == 201
        api.submit()
        assert "Traceback" not in api.log_file.read_text()
