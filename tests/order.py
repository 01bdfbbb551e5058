"""In which order files are tested: those that take longest begin, so that none of them is the last to end.

Files that compute, mostly in encoders, take turns with those that mostly wait for processes: side by side they use the
processors evenly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parent
# Over twenty seconds each: one that waits, one that computes.
_FIRST: Final = (
    "chaos/test_storm.py",
    "workers/test_hls_resume.py",
    "test_launch.py",
    "cli/test_with_platform.py",
    "workers/test_hls.py",
    "e2e/test_platform.py",
    "workers/test_hls_extras.py",
    "faults/test_kills.py",
    "faults/test_clocks.py",
    "integration/test_attempts.py",
    "workers/test_hls_sources.py",
    "test_examples.py",
    "workers/test_browser.py",
    "faults/test_away.py",
    "faults/test_crowd.py",
    "integration/test_outputs.py",
    "workers/test_hls_passthrough.py",
    "integration/test_hls.py",
    "workers/test_hls_playback.py",
    "deploy/test_containers.py",
    "workers/test_hls_tracks.py",
    "integration/test_stores.py",
    "workers/test_encode_targets.py",
    "api/test_process.py",
    "workers/test_hls_codecs.py",
    "integration/test_workers.py",
    "workers/test_encode.py",
    "integration/test_terms.py",
    "workers/test_encode_sources.py",
    "integration/test_space.py",
    "workers/test_storyboard.py",
    "test_supervisor.py",
    "workers/test_preview.py",
    "integration/test_callbacks.py",
    "workers/test_frames.py",
    "integration/test_schedules.py",
    "test_architecture.py",
    "integration/test_series.py",
    "workers/test_thumbnail.py",
    "workers/test_browser_endings.py",
    "integration/test_deploys.py",
)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, file by file."""
    places = {_TESTS / name: place for place, name in enumerate(_FIRST)}
    if lost := [str(path) for path in places if not path.exists()]:
        raise pytest.UsageError(f"{__name__} names files that are not there: {', '.join(lost)}")
    return sorted(items, key=lambda item: places.get(item.path, len(places)))
