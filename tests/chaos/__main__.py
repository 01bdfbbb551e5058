"""Run a storm by hand, as long and as large as wanted: python -m tests.chaos --seconds 3600 --seed 7 --jobs 5000."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.checks import check
from tests.chaos.storm import Storm


def main() -> int:
    """Run one storm and its checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"CHAOS_SEED={options.seed}")  # noqa: T201 - a command
    with tempfile.TemporaryDirectory() as folder:
        told = Storm(Path(folder), seed=options.seed, jobs=options.jobs, seconds=options.seconds).run(check)
        print(told)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
