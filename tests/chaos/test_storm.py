"""A storm in continuous integration: bounded, and the same again by CHAOS_SEED. Longer ones: python -m tests.chaos."""

import os
import random
from pathlib import Path

from tests.chaos.checks import check
from tests.chaos.storm import Storm


def test_no_storm_loses_doubles_or_tears_anything(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(10**6)
    seconds = float(os.environ.get("CHAOS_SECONDS", "15"))
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - a failing storm has to be repeatable
    Storm(tmp_path, seed=seed, jobs=300, seconds=seconds).run(check)
