"""Playing HLS early: what becomes of what is shown while a job runs, and where showing is refused."""

from pathlib import Path
from typing import Any

import av
import pytest
from pydantic import ValidationError

from tests.workers import _samples_video as samples
from tests.workers._hls_runs import files_below, make_watched_ladder
from tests.workers._seams import TWO, payload_of, tapes, work
from workers.hls import hls
from workplatform.errors import Cancelled, EncoderError
from workplatform.hls_check import Severity, check
from workplatform.testing import InlineRun, inline_job


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return samples.plain(tmp_path / "film.mp4", size="160x90", rate=10, duration=20)


def test_the_lowest_rendition_plays_before_the_job_has_ended_and_is_gone_if_it_fails(film: Path) -> None:
    out = film.parent / "out"
    with pytest.raises(EncoderError), inline_job(film.parent, preload=("workers._hls_making",)) as run:
        hls(payload_of(film, earlyMaster=True), run.job)
        # All is made, and nothing committed.
        lines = (out / "low" / "playlist.m3u8").read_text().splitlines()
        assert "#EXT-X-PLAYLIST-TYPE:EVENT" in lines and "#EXT-X-START:TIME-OFFSET=0" in lines
        assert "#EXT-X-ENDLIST" not in lines and lines.count("#EXTINF:6.000000,") == 3
        master = (out / "master.m3u8").read_text()
        assert "low/playlist.m3u8" in master and "high" not in master
        assert not (out / "high").exists()
        with av.open(str(out / "low" / "segment_00000.ts")) as container:
            assert sum(1 for _ in container.decode(video=0)) == 60
        assert not [found for found in check(out).findings if found.severity is Severity.ERROR]
        raise EncoderError
    assert files_below(film.parent) == {"film.mp4"}


def test_at_the_end_the_whole_stream_is_there_as_without_playing_early(film: Path) -> None:
    work(film, out="plain")
    work(film, earlyMaster=True)
    plain, early = film.parent / "plain", film.parent / "out"
    assert files_below(plain) == files_below(early)
    assert tapes(plain) == tapes(early)
    for playlist in plain.glob("*/playlist.m3u8"):
        assert (early / playlist.relative_to(plain)).read_bytes() == playlist.read_bytes()


def test_a_cancelled_job_withdraws_what_it_showed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = samples.plain(tmp_path / "film.mp4", size="160x90", rate=10, duration=30)
    program = samples.slow_ffmpeg(tmp_path / ".ffmpeg")
    monkeypatch.setenv("FFMPEG_BIN", str(program))

    def cancel_when_seen(run: InlineRun) -> None:
        if (tmp_path / "out" / "master.m3u8").exists():
            run.pulse.stop(Cancelled())

    with pytest.raises(Cancelled), inline_job(tmp_path, preload=("workers._hls_making",)) as run:
        make_watched_ladder(source, run, on_look=cancel_when_seen, qualities=TWO, earlyMaster=True)
    assert files_below(tmp_path) == {"film.mp4", program.name}


def test_an_older_stream_stays_until_the_new_one_is_complete(film: Path) -> None:
    work(film)
    before = (film.parent / "out" / "master.m3u8").read_text()
    with pytest.raises(EncoderError), inline_job(film.parent, preload=("workers._hls_making",)) as run:
        hls(payload_of(film, earlyMaster=True, overwrite=True), run.job)
        raise EncoderError
    assert [line for line in run.lines if line.startswith("an older stream is there: it stays")]
    assert (film.parent / "out" / "master.m3u8").read_text() == before


@pytest.mark.parametrize("more", [{"encryption": "aes-128"}, {"audioTracks": "all"}, {"audioOnly": True}])
def test_what_cannot_be_shown_early_is_refused_with_the_mend(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"earlyMaster .* leave out"):
        payload_of(tmp_path / "film.mp4", earlyMaster=True, **more)
