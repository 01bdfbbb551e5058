"""Playing early: the lowest rendition is shown while all are still being made, by a playlist that grows.

A master at the final place lists this one rendition until the job's own takes its place. Everything is withdrawn if the
job fails; where an older stream is, it stays, and nothing is shown.
"""

from workers._hls_master import MASTER, UNFINISHED, Package, Variant, master_playlist
from workers._hls_measure import Measured, lone_rate, measure
from workers._hls_pauses import LONGEST_PAUSE_S
from workers._hls_playlist import INIT, MEDIA_PLAYLIST, SEGMENT_S, MediaPlaylist, media_playlist
from workers._hls_resume import Groups
from workers._hls_span import Span
from workers._probe import SourceVideo
from workplatform.context import JobContext, Output
from workplatform.errors import BadInputError, StoreUnavailableError

# Without a place to start, players begin near the end of a playlist that still grows.
_TAGS = ("#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-START:TIME-OFFSET=0")
# The lowest rendition is encoded alone for a while, then once more with the others. That costs about a quarter of what
# all of them cost over the same time: this share of the video, and never more than so many groups.
_AHEAD_SHARE = 0.05
_MOST_AHEAD = 3
# The keyframe that ends the last of them has to be seen, even if some pictures are missing before it.
_PICTURES_BEYOND = 4


def may_play_early(job: JobContext, output: Output) -> bool:
    """Whether the output can be shown while it is made. Raises BadInputError where that is never possible."""
    try:
        if output.may_show():
            return True
    except BadInputError as error:
        raise BadInputError(f"earlyMaster: {error.message}, or leave out earlyMaster") from error
    job.log("an older stream is there: it stays until this one is complete, and nothing is shown early")
    return False


def span_ahead(video: SourceVideo) -> tuple[int, Span] | None:
    """Return how many groups of the lowest rendition to make before all else, and of which span; None for too short."""
    groups = int((video.duration_s or 0.0) / SEGMENT_S)
    if not groups:
        return None
    count = min(_MOST_AHEAD, max(1, int(groups * _AHEAD_SHARE)))
    beyond_s = min(LONGEST_PAUSE_S, _PICTURES_BEYOND / float(video.frame_rate or 1))
    return count, Span(end_s=count * SEGMENT_S + beyond_s)


class EarlyPlay:
    """Shows the segments of the rendition called `name`, each as soon as it is complete."""

    def __init__(self, job: JobContext, output: Output, groups: Groups, name: str, video: SourceVideo) -> None:
        self._job = job
        self._output = output
        self._groups = groups
        self._name = name
        self._video = video
        self._beginning = groups.beginning
        self._shown = 0
        self._told_bandwidth = 0
        self._measured: Measured | None = None

    def look(self) -> None:
        """Show what is complete and not shown yet, if this attempt still owns the job."""
        if self._beginning != self._groups.beginning:
            self._beginning, self._shown, self._told_bandwidth = self._groups.beginning, 0, 0
        playlist = self._groups.playlist(self._name)
        if len(playlist.segments) <= self._shown:
            return
        try:
            self._job.confirm()
        except StoreUnavailableError:
            return  # the next segment asks again
        self._show(playlist)

    def _show(self, playlist: MediaPlaylist) -> None:
        if not self._shown and playlist.head:
            self._output.show(f"{self._name}/{INIT}")
        for segment in playlist.segments[self._shown :]:
            self._output.show(f"{self._name}/{segment.name}")
        self._shown = len(playlist.segments)
        self._show_text(
            f"{self._name}/{MEDIA_PLAYLIST}", media_playlist(playlist, kind="EVENT", tags=_TAGS, is_complete=False)
        )
        if playlist.peak_bandwidth > self._told_bandwidth:
            self._show_text(MASTER, self._master(playlist))
            self._told_bandwidth = playlist.peak_bandwidth

    def _master(self, playlist: MediaPlaylist) -> str:
        if self._measured is None:
            [self._measured] = self._job.isolated(measure, self._groups.folder, {self._name: playlist}, 0)
        measured = self._measured
        variant = Variant(
            name=self._name,
            width=measured.width,
            height=measured.height,
            codecs=measured.codecs,
            frame_rate=lone_rate(self._video.frame_rate, playlist.duration_s),
            bandwidth=playlist.peak_bandwidth,
            average_bandwidth=playlist.average_bandwidth,
            video_range=measured.video_range,
        )
        return master_playlist(Package((variant,), (playlist,)), UNFINISHED)

    def _show_text(self, name: str, text: str) -> None:
        path = self._output.path / name
        path.write_text(text, encoding="utf-8")
        self._output.show(name)
        path.unlink()  # what is written here next is another file
