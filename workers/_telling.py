"""Finding the most telling frame of a video: a sharp, well lit picture of something, no title card and no fade.

Keyframes are looked at, spread evenly over the video, and no more than a fixed number of them, so that it takes no
longer for a longer one. A video with hardly any keyframes is decoded from its start for a while.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageFilter, ImageStat

from workers._decoding import decode_places, timed_frames
from workers._frames import Grab, grab_of
from workers._packets import UnfitError, group_of_pictures
from workers._pictures import upright
from workers._video import Medium, Video, open_video
from workplatform.errors import BadInputError

_LOOKS = 16
_FEW_KEYFRAMES = 4
_DECODED_FRAMES, _DECODED_STEP = 300, 12
_LOOK_WIDTH = 320

# The second derivative, shifted to the middle of the 256 levels.
_MIDDLE = 128
_EDGES = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 4, -1, 0, -1, 0), scale=1, offset=_MIDDLE)
_FLAT_LEVELS = 3
_BUSY_SHARE = 0.25
_SHARP = 12.0
_MOST_BITS = 8.0
_AFAR = 8
_STRUCTURED = 0.4


def most_telling(medium: Medium, name: str) -> Grab:
    """Return the frame that tells most of the video. Raises BadInputError if it is no video or nothing is decodable."""
    best: tuple[float, Grab] | None = None
    seen: set[Fraction] = set()
    scaler = VideoReformatter()
    for probe, way, enough in _WAYS:
        if len(seen) >= enough:
            continue
        with open_video(medium, name, probe=probe) as video:
            for found in way(video):
                seen.add(found.time)
                score = telling(upright(found, _LOOK_WIDTH, None, scaler=scaler))
                if best is None or score > best[0]:
                    best = score, found
    if best is None:
        raise BadInputError(f"damaged video: no frame of {name} can be decoded")
    return best[1]


def telling(picture: Image.Image) -> float:
    """Return how much a picture tells, 0 to 1: light and dark in it, shapes, detail all over it, and some colour."""
    grey = picture.convert("L")
    edges = grey.filter(_EDGES)
    flat = sum(edges.histogram()[_MIDDLE - _FLAT_LEVELS : _MIDDLE + _FLAT_LEVELS + 1])
    busy = 1 - flat / (grey.width * grey.height)
    sharpness = ImageStat.Stat(edges).stddev[0]
    colour = ImageStat.Stat(picture.convert("RGB").convert("HSV").getchannel("S")).mean[0] / 255
    score = _exposure(ImageStat.Stat(grey).mean[0] / 255)
    score *= (grey.entropy() / _MOST_BITS) ** 2
    score *= sharpness / (sharpness + _SHARP)
    score *= 0.3 + 0.7 * min(1.0, busy / _BUSY_SHARE)
    score *= min(1.0, _structure(grey) / _STRUCTURED)
    return score * (0.8 + 0.2 * min(1.0, 2 * colour))


def _structure(grey: Image.Image) -> float:
    """Return how much of the contrast is left from afar, 0 to 1: of noise hardly any."""
    contrast = ImageStat.Stat(grey).stddev[0]
    return float(ImageStat.Stat(grey.reduce(_AFAR)).stddev[0] / contrast) if contrast else 0.0


def _exposure(light: float) -> float:
    """Rate the mean light: nothing for black, less for what is nearly white."""
    if light < 0.25:
        return max(0.0, (light - 0.03) / 0.22)
    return 1.0 if light < 0.75 else 1.0 - 2.8 * (light - 0.75)


def _keyframes(video: Video) -> Iterator[Grab]:
    """Yield keyframes from all over the video; those that cannot be decoded are left out."""
    if not video.has_shown_times:
        return
    previous = None
    for moment in _spread(video.duration):
        try:
            packets = group_of_pictures(video, video.origin + round(moment / video.tick), keyframe_only=True)
            if packets[0].pts == previous:
                continue
            previous = packets[0].pts
            for frame in decode_places(video, packets, {0}):
                yield grab_of(video, frame, is_past_end=False)
        except (UnfitError, av.FFmpegError):
            continue


def _spread(duration: Fraction) -> list[Fraction]:
    """Return the seconds to look at: of a video of unknown length ever further apart."""
    if not duration:
        return [Fraction(2**power - 1) for power in range(_LOOKS)]
    return [duration * (2 * number + 1) / (2 * _LOOKS) for number in range(_LOOKS)]


def _first_frames(video: Video) -> Iterator[Grab]:
    """Yield a frame now and then from the first ones of the video, as far as they can be decoded."""
    try:
        for number, (time, frame) in enumerate(timed_frames(video, from_start=True)):
            if number >= _DECODED_FRAMES:
                return
            if number % _DECODED_STEP == 0 and not frame.is_corrupt:
                frame.pts = time
                yield grab_of(video, frame, is_past_end=False)
    except (UnfitError, av.FFmpegError):
        return


# How the file is opened, how its frames are found, and with how many found before that it is not needed.
_WAYS: tuple[tuple[bool, Callable[[Video], Iterator[Grab]], int], ...] = (
    (False, _keyframes, 1),
    (True, _keyframes, 1),
    (True, _first_frames, _FEW_KEYFRAMES),
)
