"""Making the pictures of an HLS stream: with a copy where that can be, and without where it does not work out."""

import shutil
from collections.abc import Callable
from pathlib import Path

from workers._hls_passthrough import follows_plan
from workers._hls_plan import Ladder
from workers._hls_playlist import MEDIA_PLAYLIST, IncompletePlaylistError, read_media_playlist
from workplatform.context import JobContext
from workplatform.errors import BadInputError, EncoderError


def make_pictures(job: JobContext, folder: Path, ladder: Ladder, make: Callable[[Ladder], int]) -> tuple[Ladder, int]:
    """Make the renditions in subfolders of the folder; return how they were made, and the number of pictures.

    A copy that cannot be made, or is not cut where it should be, costs time and nothing else: all are encoded then.
    """
    if ladder.passage is None:
        return ladder, make(ladder)
    try:
        frames = make(ladder)
        playlists = [read_media_playlist(folder / rung.name / MEDIA_PLAYLIST) for rung in ladder.rungs]
        if follows_plan(ladder.passage, playlists):
            return ladder, frames
        reason = "it was not cut where the others are"
    except (EncoderError, BadInputError, IncompletePlaylistError) as error:
        reason = str(error)
    job.log(f"{ladder.passage.name} is encoded too, since copying did not work: {reason}")
    for rung in ladder.rungs:
        shutil.rmtree(folder / rung.name, ignore_errors=True)
    return ladder.all_encoded(), make(ladder.all_encoded())
