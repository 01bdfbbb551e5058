"""A listener's backlog: what a client that does not read keeps, loses, and is cut off for."""

from itertools import count

from api.frames import Frame, Selection
from api.listener import MAX_BACKLOG, MAX_DEBT, Listener
from workplatform.store.records import StoredEvent

_numbers = count(1)


def a_frame(event: str = "job:progress", job_id: str = "job_1") -> Frame:
    """The next event of a stream."""
    return Frame(StoredEvent(f"{next(_numbers)}-0", event, job_id, "nap", "running", {}))


def heard(listener: Listener, frames: list[Frame]) -> bytes:
    """What a client is told that was busy while these came, and then reads on."""
    for frame in frames:
        listener.offer([frame], frame.encoded(named=False))
    return next(listener.live())


def place(frame: Frame) -> bytes:
    """The id as it stands in the stream."""
    return b"id: %d-0\n" % frame.id[0]


def test_the_newest_progress_of_a_job_replaces_the_older() -> None:
    frames = [a_frame(job_id="job_1"), a_frame(job_id="job_2"), a_frame(job_id="job_1")]
    told = heard(Listener(Selection()), frames)
    assert place(frames[0]) not in told
    assert told.index(place(frames[1])) < told.index(place(frames[2]))


def test_a_long_backlog_loses_progress_and_log_lines_only() -> None:
    endings = [a_frame("job:completed", f"job_{number}") for number in range(50)]
    lines = [a_frame("job:log") for _ in range(MAX_BACKLOG)]
    told = heard(Listener(Selection()), [*endings, *lines])
    assert all(place(frame) in told for frame in endings)
    assert told.count(b"job:log") < MAX_BACKLOG


def test_what_may_be_lost_goes_before_a_client_is_cut_off() -> None:
    listener = Listener(Selection())
    for number in range(MAX_DEBT):
        told = [a_frame("job:queued", f"job_{number}"), a_frame("job:log")]
        listener.offer(told, b"")
    assert not listener.is_closed
    kept = next(listener.live())
    assert kept.count(b"job:queued") == MAX_DEBT
    assert kept.count(b"job:log") < MAX_BACKLOG


def test_a_client_that_is_gone_for_good_is_cut_off() -> None:
    listener = Listener(Selection())
    for number in range(MAX_DEBT + 1):
        frame = a_frame("job:queued", f"job_{number}")
        listener.offer([frame], frame.encoded(named=False))
    assert listener.is_closed
    assert list(listener.live()) == []


def test_what_was_told_before_is_not_told_again() -> None:
    listener = Listener(Selection())
    old, new = a_frame("job:queued"), a_frame("job:started")
    listener.floor = old.id
    assert heard(listener, [old, new]) == new.encoded(named=False)
    assert listener.floor is None


def test_a_line_separator_of_unicode_does_not_tear_an_event() -> None:
    frame = Frame(StoredEvent("1-0", "job:progress", "job_1", "nap", "running", {"message": "a\u2028b\u0085c"}))
    lines = frame.encoded(named=True).decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["event", "id", "data", "", ""]
