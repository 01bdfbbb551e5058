"""Ids of jobs."""

import time

from workplatform.ids import JOB_ID, new_job_id


def test_an_id_is_a_ulid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    job_id = new_job_id()
    assert JOB_ID.fullmatch(job_id)
    moment = 0
    for character in job_id.removeprefix("job_")[:10]:
        moment = moment * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert before <= moment <= time.time_ns() // 1_000_000


def test_ids_are_unique() -> None:
    ids = [new_job_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)


def test_ids_made_one_after_another_sort_in_that_order() -> None:
    ids = [new_job_id() for _ in range(20_000)]
    assert ids == sorted(ids)
