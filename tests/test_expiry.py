"""Expiry: what is removed with a job, and what is not."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.builders import a_job, completed, pop
from tests.builders import claim as claimed
from tests.waiting import eventually
from workplatform.expiry import Expiry
from workplatform.retention import sweeping_rules
from workplatform.storage.expiring import Expiring
from workplatform.storage.journal import Journals
from workplatform.storage.local import LocalFiles
from workplatform.storage.paths import Roots, expiring_ledgers
from workplatform.store.connection import Connector
from workplatform.store.jobs import JobStore
from workplatform.store.records import NewJob
from workplatform.sweeping import Sweeping

KEPT_FOR_NOTHING = sweeping_rules(timedelta(0), {}, ["nap"])


class Place:
    """A data folder, and a scheduler that sweeps it."""

    def __init__(self, store: JobStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.sweeping, self.expiry = Sweeping(store, KEPT_FOR_NOTHING), Expiry(store, self.data, folder)

    def job(self, *, expires: bool = True, payload: bytes = b"{}") -> NewJob:
        """A job that is queued."""
        flag = b',"outputsExpire":true' if expires else b""
        job = a_job()._replace(spec=b'{"payload":' + payload + flag + b"}")
        self.store.create([job])
        pop(self.store)
        return job

    def files(self, job_id: str) -> LocalFiles:
        """The files of an attempt of the job."""
        run = self.data / "run"
        roots = Roots([self.folder], base=self.folder, reserved=[run])
        journal = Journals(run / "attempts").open(job_id, 1)
        return LocalFiles(roots, journal, self.data / "work", expiring=Expiring(self.data, job_id))

    def write(self, job_id: str, uri: str, names: Sequence[str] = ()) -> None:
        """Make an output of the job: a file, or a folder of files."""
        files = self.files(job_id)
        output = files.output(uri, directory=bool(names), last=None, owned=())
        for name in names:
            (output.path / name).parent.mkdir(parents=True, exist_ok=True)
            (output.path / name).write_text(f"{name} of {job_id}")
        if not names:
            output.path.write_text(f"of {job_id}")
        files.commit()

    def done(self, job: NewJob) -> None:
        """Let the job complete, and retention remove it."""
        claimed(self.store, job)
        self.store.settle(job.id, 1, completed())
        self.sweeping.tick()
        self.expiry.tick()

    def left(self) -> set[str]:
        """Files that are left, ledgers too."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.folder)) for path in found}
        return {name for name in names if not name.startswith("data/run/")}


@pytest.fixture
def place(store: JobStore, tmp_path: Path) -> Place:
    """An empty place."""
    return Place(store, tmp_path)


def test_what_a_job_made_below_the_data_folder_goes_with_it(place: Place) -> None:
    job = place.job()
    place.write(job.id, "data/out/a.txt")
    place.write(job.id, "data/film", ["master.m3u8", "720p/1.ts"])
    (place.data / "out" / "mine.txt").write_text("a person's")
    place.done(job)
    assert place.left() == {"data/out/mine.txt"}
    assert not (place.data / "film").exists()
    assert place.store.expiring.due(10) == []


def test_what_it_made_elsewhere_stays(place: Place) -> None:
    job = place.job()
    place.write(job.id, "elsewhere/a.txt")
    place.done(job)
    assert place.left() == {"elsewhere/a.txt"}


def test_what_a_later_job_or_a_person_put_in_its_place_stays(place: Place) -> None:
    first, second = place.job(), place.job(expires=False)
    for name in ("a", "b", "c"):
        place.write(first.id, f"data/{name}.txt")
    place.write(first.id, "data/film", ["1.ts", "2.ts"])
    place.write(second.id, "data/a.txt")
    place.write(second.id, "data/film", ["2.ts"])
    (place.data / "b.txt").write_text("changed by hand")
    place.done(first)
    assert place.left() >= {"data/a.txt", "data/b.txt", "data/film/2.ts"}
    assert not {"data/c.txt", "data/film/1.ts"} & place.left()
    assert (place.data / "a.txt").read_text() == f"of {second.id}"


@pytest.mark.parametrize("payload", [b'{"inputPath":"data/a.txt"}', b'{"items":[{"path":"./data/../data"}]}'])
def test_what_a_job_that_has_not_ended_names_stays_until_that_has(
    place: Place, connector: Connector, payload: bytes
) -> None:
    made, user = place.job(), place.job(expires=False, payload=payload)
    place.write(made.id, "data/a.txt")
    place.done(made)
    assert "data/a.txt" in place.left()
    assert place.store.expiring.due(10) == []
    connector.client.zadd("test:expiring", {made.id: 1})
    place.done(user)
    assert place.left() == set()


def test_a_job_that_is_not_to_expire_leaves_all(place: Place) -> None:
    job = place.job(expires=False)
    (place.data / "a.txt").write_text("made")
    place.done(job)
    assert place.left() == {"data/a.txt"}
    assert place.store.expiring.due(10) == []


def test_a_scheduler_that_died_after_the_job_was_removed_leaves_the_files_to_the_next(place: Place) -> None:
    job = place.job()
    place.write(job.id, "data/a.txt")
    claimed(place.store, job)
    place.store.settle(job.id, 1, completed())
    assert place.store.sweep(KEPT_FOR_NOTHING, 10) == 1
    assert place.store.expiring.due(10) == [job.id]
    assert "data/a.txt" in place.left()
    place.expiry.start()
    place.expiry.start()
    eventually(lambda: place.left() == set())
    eventually(lambda: place.store.expiring.due(10) == [])


def test_a_file_is_listed_before_it_is_at_its_place(place: Place) -> None:
    """So an attempt that is killed between the two leaves nothing that nobody would remove."""
    job = place.job()
    output = place.files(job.id).output("data/a.txt", directory=False, last=None, owned=())
    output.path.write_text("made")
    expiring = Expiring(place.data, job.id)
    expiring.note(output)
    assert expiring.places() == []
    output.path.replace(output.target)
    assert expiring.places() == [place.data / "a.txt"]
    place.done(job)
    assert place.left() == set()


def test_a_ledger_that_was_torn_removes_what_it_still_lists(place: Place) -> None:
    job = place.job()
    place.write(job.id, "data/a.txt")
    place.write(job.id, "data/b.txt")
    ledger = expiring_ledgers(place.data) / job.id
    ledger.write_text(ledger.read_text()[:-5])
    place.done(job)
    assert place.left() == {"data/b.txt"}


def test_a_file_that_cannot_be_removed_stays_listed_and_keeps_no_other_from_going(
    place: Place, connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = place.job(), place.job()
    place.write(stuck.id, "data/stuck/a.txt")
    place.write(other.id, "data/b.txt")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refusing("a.txt"))  # root may write to any folder
        place.done(stuck)
        place.done(other)
    assert "data/stuck/a.txt" in place.left() and "data/b.txt" not in place.left()
    assert place.store.expiring.due(10) == []
    connector.client.zadd("test:expiring", {stuck.id: 1})
    place.expiry.tick()
    assert place.left() == set()


def refusing(name: str) -> Callable[..., None]:
    """What removes all files but those of a name, as a disk does that lets nothing go."""
    unlink = Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    return refuse


def test_the_folder_for_files_that_were_sent_stays(place: Place) -> None:
    job = place.job()
    place.write(job.id, "data/files/cli/1/out.txt")
    place.done(job)
    assert (place.data / "files").is_dir()
    assert not (place.data / "files" / "cli").exists()
