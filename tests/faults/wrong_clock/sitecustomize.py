"""Makes the clock of a Python process wrong by WRONG_BY_S seconds, from its start: on the path of a role, not of tests.

It stands in for libfaketime, under which Python's waits fail (0.9.10: clock_nanosleep, sem_clockwait). What asks the
clock from C stays right, as `datetime.now` does: tests/test_architecture.py keeps that out of the platform.
"""

import os
import time

_WRONG_BY_S = float(os.environ["WRONG_BY_S"])
_time, _time_ns = time.time, time.time_ns

vars(time).update(
    time=lambda: _time() + _WRONG_BY_S,
    time_ns=lambda: _time_ns() + round(_WRONG_BY_S * 1e9),
)
