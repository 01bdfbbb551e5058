"""The bulkhead: one step that fails keeps no other from being done."""

import pytest

from workplatform.bulkhead import Bulkhead
from workplatform.errors import StoreUnavailableError
from workplatform.store.records import NewerRecordError


@pytest.mark.parametrize(
    ("error", "event"), [(ValueError("a bug"), "scheduler_step_failed"), (NewerRecordError("no"), "record_is_newer")]
)
def test_what_fails_is_told_once_and_left_alone_for_a_while(
    capsys: pytest.CaptureFixture[str], error: Exception, event: str
) -> None:
    done: list[str] = []

    def step(name: str) -> None:
        done.append(name)
        if name == "bad":
            raise error

    bulkhead = Bulkhead()
    for name in ("bad", "good", "bad", "good"):
        bulkhead.run(name, step, name)
    assert done == ["bad", "good", "good"]
    assert capsys.readouterr().out.count(event) == 1


def test_one_thing_that_fails_in_one_step_may_do_well_in_another() -> None:
    done: list[str] = []

    def fail() -> None:
        raise ValueError("a bug")

    def succeed() -> None:
        done.append("well")

    bulkhead = Bulkhead()
    bulkhead.run("job_1", fail)
    bulkhead.run("job_1", succeed)
    assert done == ["well"]


def test_a_store_that_is_away_is_everybodys_business() -> None:
    def ask() -> None:
        raise StoreUnavailableError("Redis does not answer")

    with pytest.raises(StoreUnavailableError):
        Bulkhead().run("", ask)
