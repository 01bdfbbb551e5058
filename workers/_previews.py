"""What a preview job does in its child process; the only door to PyAV for that type."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

import av
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from workers._clips import RATES, ClipWriter
from workers._decoding import frame_ticks, timed_frames
from workers._encodings import BLACK, on_background
from workers._frames import Grab
from workers._keyframes import length_s, nearest_keyframes, read_length_s
from workers._packets import UnfitError, go_to_start, seek
from workers._pictures import shown_width, upright
from workers._scenes import LIVELY, Candidate, best_starts, difference, moments, sections
from workers._sprites import MAX_SIDE
from workers._telling import telling
from workers._video import Medium, Video, open_video
from workers.preview import PreviewPayload
from workplatform.context import Source
from workplatform.errors import BadInputError
from workplatform.storage.source import opened
from workplatform.storage.uris import file_name

_LOOK_SIDE = 320
_MOTION_LOOKS, _MOTION_RATE = 3, Fraction(2)
_FEWEST_FRAMES = 8
_MOST_FRAMES = 600
_LEAST_RATE = Fraction(1)
_STEPS_BACK_S = (0, 1, 4, 16)


@dataclass(frozen=True, slots=True)
class Step:
    """How much of a stage is done, 0 to 1."""

    stage: Literal["looking", "encoding"]
    share: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What was written; times in seconds, the cuts as start and end in the video."""

    size: int
    width: int
    height: int
    duration_s: float
    cuts: tuple[tuple[float, float], ...]


def make_preview(source: Source | Path, target: Path, payload: PreviewPayload) -> Generator[Step, None, Preview]:
    """Write the clip to `target`, telling how far it is.

    Raises BadInputError, NoSpaceError, and what reading a remote video runs into.
    """
    name = file_name(payload.video_path)
    with opened(source) as medium:
        for probe in (False, True):
            length = _length(medium, name, probe=probe)
            if not length:
                continue
            with open_video(medium, name, probe=probe) as video:
                made = yield from _Cutter(video, length, payload).make(target)
            if made is not None:
                return made
    raise BadInputError(f"damaged video: no part of {name} can be decoded")


def _length(medium: Medium, name: str, *, probe: bool) -> Fraction:
    """Return the seconds that there are pictures for, by the header or else by reading all of it."""
    with open_video(medium, name, probe=probe) as video:
        return video.duration or length_s(video) or read_length_s(video)


class _Cutter:
    """Makes the clip of one open video. All its frames share a scaler and its tables."""

    def __init__(self, video: Video, length: Fraction, payload: PreviewPayload) -> None:
        self._video = video
        self._length = length
        self._payload = payload
        self._duration = Fraction(str(payload.duration))
        self._scaler = VideoReformatter()
        usual = video.stream.average_rate or video.stream.guessed_rate or RATES[payload.format]
        self._rate = max(_LEAST_RATE, min(RATES[payload.format], usual.limit_denominator(1001)))

    def make(self, target: Path) -> Generator[Step, None, Preview | None]:
        """Choose the cuts and write them; None if no picture could be decoded."""
        if self._length <= self._duration:
            return (yield from self._written(target, [Fraction(0)], self._length))
        starts = yield from self._chosen()
        each = self._duration / self._payload.cuts
        made = yield from self._written(target, starts, each)
        if made is not None and made.duration_s >= self._duration / 2:
            return made
        # The video breaks off, long before its header says: what is whole is its beginning.
        again = yield from self._written(target, [Fraction(0)], self._duration)
        if made is not None and (again is None or again.duration_s < made.duration_s):
            return (yield from self._written(target, starts, each))
        return again

    def _written(self, target: Path, starts: list[Fraction], each: Fraction) -> Generator[Step, None, Preview | None]:
        """Write the cuts that start so and last `each` seconds; None if no picture could be decoded."""
        writer: ClipWriter | None = None
        cuts: list[tuple[float, float]] = []
        with ExitStack() as stack:
            for number, start in enumerate(starts):
                count = round((number + 1) * each * self._rate) - round(number * each * self._rate)
                done = 0
                for done, picture in enumerate(self._worthwhile(start, max(1, count), is_only=not cuts), 1):
                    if writer is None:
                        size = picture.size
                        writer = stack.enter_context(ClipWriter(target, self._payload.format, self._rate, size))
                    writer.add(picture if picture.size == size else picture.resize(size))
                    yield Step("encoding", (number + done / max(1, count)) / len(starts))
                if done:
                    cuts.append((_s(start), _s(start + done / self._rate)))
        if writer is None:
            return None
        return Preview(target.stat().st_size, *size, _s(writer.frames / self._rate), tuple(cuts))

    def _chosen(self) -> Generator[Step, None, list[Fraction]]:
        """Look at the video, and choose where the cuts start."""
        parts = sections(self._length, self._duration, self._payload.cuts)
        places = [(part, moment) for part in parts for moment in moments(part, len(parts))]
        at_keyframes: dict[Fraction, Candidate] = {}
        elsewhere: list[Candidate] = []
        done = 0
        for shot in nearest_keyframes(self._video, [moment for _, moment in places]):
            worth = telling(self._small(shot.grab.frame))
            for part, moment in places[done : done + shot.moments - shot.missing]:
                if part.first <= shot.grab.time <= part.last:
                    at_keyframes[shot.grab.time] = Candidate(shot.grab.time, worth)
                else:
                    elsewhere.append(Candidate(moment, worth))
            done += shot.moments
            yield Step("looking", 0.7 * done / len(places))

        def motion(start: Fraction) -> float:
            return self._motion(start) if at_keyframes else LIVELY  # without, getting there would take long

        starts: list[Fraction] = []
        apart = self._duration / len(parts)
        candidates = list(at_keyframes.values()) or self._looked_into(elsewhere)
        for start in best_starts(parts, candidates, motion, apart=apart):
            starts.append(start)
            yield Step("looking", 0.7 + 0.3 * len(starts) / len(parts))
        return sorted(starts)

    def _looked_into(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates with what is really to be seen there, as far as a part of the video is decoded.

        Of a video with hardly any keyframes that is no more than its clip asks for anyway.
        """
        left = deque(candidates)
        found = []
        for time, frame in islice(_frames_from(self._video, Fraction(0)), _MOST_FRAMES):
            if left and time >= left[0].start:
                found.append(Candidate(time, telling(self._small(frame))))
            while left and time >= left[0].start:
                left.popleft()
            if not left:
                break
        return [*found, *left]

    def _worthwhile(self, start: Fraction, count: int, *, is_only: bool) -> Iterator[Image.Image]:
        """Yield the pictures of a cut; none if the video breaks off after a few of them, unless there are no others."""
        pictures = (self._drawn(frame) for frame in self._frames(start, count, self._rate))
        first = list(islice(pictures, min(count, _FEWEST_FRAMES)))
        if is_only or len(first) == min(count, _FEWEST_FRAMES):
            yield from first
            yield from pictures

    def _motion(self, start: Fraction) -> float:
        """Return how much the picture changes in the moments after `start`, in grey levels."""
        seen = [self._small(frame) for frame in self._frames(start, _MOTION_LOOKS, _MOTION_RATE)]
        pairs = [difference(one, other) for one, other in pairwise(seen)]
        return sum(pairs) / len(pairs) if pairs else 0.0

    def _frames(self, start: Fraction, count: int, rate: Fraction) -> Iterator[VideoFrame]:
        """Yield the frames shown at regular moments; fewer if the video breaks off."""
        number = 0
        shown: VideoFrame | None = None
        latest = start
        # Times are rounded to ticks: a frame that is late by one is meant to be shown at that moment, else the one
        # before it would be there twice.
        late = min(self._video.tick, 1 / (4 * rate))
        for time, frame in _frames_from(self._video, start):
            while shown is not None and number < count and start + number / rate + late < time:
                yield shown
                number += 1
            if number == count:
                return
            shown, latest = frame, time
        over = latest + max(1 / rate, frame_ticks(self._video) * self._video.tick)
        while shown is not None and number < count and (start + number / rate < over or not number):
            yield shown
            number += 1

    def _drawn(self, frame: VideoFrame) -> Image.Image:
        grab = Grab(frame, Fraction(0), is_past_end=False, sample_aspect=self._video.sample_aspect)
        width = min(self._payload.width, shown_width(grab))
        picture = on_background(upright(grab, width, MAX_SIDE, scaler=self._scaler), BLACK)
        return _even(picture) if self._payload.format == "mp4" else picture

    def _small(self, frame: VideoFrame) -> Image.Image:
        picture = self._drawn(frame)
        picture.thumbnail((_LOOK_SIDE, _LOOK_SIDE))
        return picture


def _frames_from(video: Video, start: Fraction) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Yield frames and their seconds, from the one shown at `start` or before it."""
    target = video.origin + round(start / video.tick)
    for back_s in _STEPS_BACK_S:
        if not seek(video, target - round(back_s / video.tick)):
            break
        frames = _decodable(video, from_start=False)
        first = next(frames, None)
        if first is not None and first[0] <= start + video.tick:
            yield first
            yield from frames
            return
    go_to_start(video)
    yield from _decodable(video, from_start=True)


def _decodable(video: Video, *, from_start: bool) -> Iterator[tuple[Fraction, VideoFrame]]:
    try:
        for time, frame in timed_frames(video, from_start=from_start):
            if not frame.is_corrupt:
                yield (time - video.origin) * video.tick, frame
    except (UnfitError, av.FFmpegError):
        return


def _even(picture: Image.Image) -> Image.Image:
    """Cut off an odd last row and column, which H.264 with half the colour resolution has no place for."""
    width, height = (max(2, side - side % 2) for side in picture.size)
    if width > picture.width or height > picture.height:
        return picture.resize((width, height))
    return picture.crop((0, 0, width, height))


def _s(seconds: Fraction) -> float:
    return round(float(seconds), 3)
