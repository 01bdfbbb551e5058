"""What a process imports."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = ("rich", "pygments", "av", "PIL", "git", "cryptography.hazmat", "boto3")
BUILT = f"""
import sys
import workplatform.lean
import workplatform.worker
import api.server
from workplatform import bootstrap
from workplatform.settings import load
bootstrap.build(load().settings)
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_a_platform_is_built_without_what_only_single_jobs_need(tmp_path: Path) -> None:
    environ = {**os.environ, "DATA_DIR": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", BUILT], env=environ, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
