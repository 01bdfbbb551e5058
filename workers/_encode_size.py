"""Encoding to a size: how many bits each part of the file gets, and two passes that keep to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers._encode_codecs import ENCODERS, TwoPasses
from workers._encode_command import Plan
from workers._encode_run import ENDS, STARTS, Step, encode_once
from workers._encode_tracks import Sound
from workers._ffmpeg import Progress
from workers._quantities import in_words
from workplatform.context import JobContext
from workplatform.errors import BadInputError

# What is aimed at, and what is taken for good: shares of the size asked for.
_AIM, _GOOD = 0.985, 0.955
_MOST_TRIES = 5
# A picture that did not grow by more with more bits has nothing more to tell.
_SATED = 1.02
_STRONGEST_RAISE = 4.0
_FIRST_PASS_ENDS, _MIDDLE = 30.0, 50.0
# Sounds without a bitrate asked for get no more than this share, as long as they stay understandable.
_SOUNDS_SHARE = 0.15
_LEAST_CHANNEL_BITRATE = 16_000
_GUESSED_BITRATE = 2_000_000
# What the file needs besides pictures and sounds: an index entry for each frame of them, and a header.
_HEADER_BYTES, _FRAME_BYTES, _SOUND_FRAMES_PER_S = 3000, 14, 50
# H.264 of 1080 lines is just watchable with this, and of fewer lines with less; above 25 frames a second no more.
_WATCHABLE_BITRATE, _WATCHABLE_LINES, _WATCHABLE_RATE = 400_000, 1080, 25.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The size to hit, and what of it is not the picture's; `length_s` and `frames` as far as they are known."""

    size: int
    length_s: float
    frames: float
    sounds_bitrate: int
    bitrate_max: int

    @property
    def other_bytes(self) -> float:
        """Bytes of sounds, index and header."""
        frames = self.frames + (_SOUND_FRAMES_PER_S * self.length_s if self.sounds_bitrate else 0)
        return self.sounds_bitrate * self.length_s / 8 + _HEADER_BYTES + _FRAME_BYTES * frames

    @property
    def bitrate(self) -> int:
        """Bits per second that are left for the picture; can be negative."""
        return min(self.bitrate_max, round(8 * (_AIM * self.size - self.other_bytes) / self.length_s))

    def found_other_bytes(self, sizes: Mapping[int, int]) -> float:
        """Return the same by what files of some bitrates came to: of silence sounds have hardly any bytes."""
        return min(self.other_bytes, *(max(0.0, got - bitrate * self.length_s / 8) for bitrate, got in sizes.items()))


def encode_to_size(job: JobContext, plan: Plan, size: int, target: Path) -> Progress:
    """Write a file of at most `size` bytes, and hardly less; return the last pass's report.

    Raises BadInputError if it could not be watched, or cannot be made so small.
    """
    guess = None
    bitrate_max = ENCODERS[plan.codec].bitrate_max
    if plan.expected_s:
        guess = Budget(size, plan.expected_s, _rate(plan) * plan.expected_s, _sum(plan.sounds), bitrate_max)
        check_watchable(plan, guess)
        if not ENCODERS[plan.codec].has_passes:
            return _hit(job, plan, guess, target, [Step("pass 1", STARTS, _MIDDLE), Step("pass 2", _MIDDLE, ENDS)])
    step = Step("pass 1 of 2", STARTS, _FIRST_PASS_ENDS)
    seen = encode_once(job, plan, TwoPasses(guess.bitrate if guess else _GUESSED_BITRATE, 1), target, step)
    # The first pass has seen it all: how long it is whatever its header says. That of libvpx does not tell.
    length_s = max(seen.written_s, plan.expected_s or 0.0) or 1.0
    frames = seen.frames or (guess.frames if guess else _WATCHABLE_RATE * length_s)
    budget = Budget(size, length_s, frames, _sum(plan.sounds), bitrate_max)
    check_watchable(plan, budget)
    return _hit(job, plan, budget, target, [Step("pass 2 of 2", _FIRST_PASS_ENDS, ENDS)])


def fit_sounds(sounds: Sequence[Sound], size: int, length_s: float | None) -> list[Sound]:
    """Return the sounds with less bits where they would take too much of the size."""
    total = _sum(sounds)
    if not length_s or not total:
        return list(sounds)
    share = min(1.0, _SOUNDS_SHARE * 8 * size / length_s / total)
    return [
        replace(sound, bitrate=max(_LEAST_CHANNEL_BITRATE * sound.channels, round((sound.bitrate or 0) * share)))
        for sound in sounds
    ]


def check_watchable(plan: Plan, budget: Budget) -> None:
    """Raise BadInputError, naming the least that is possible, if the picture would get too few bits."""
    picture = plan.picture
    lines = math.sqrt(picture.width * picture.height * 9 / 16)
    frames_per_s = min(_WATCHABLE_RATE, max(1.0, budget.frames / budget.length_s))
    floor = _WATCHABLE_BITRATE * math.pow(lines / _WATCHABLE_LINES, 1.6) * ENCODERS[plan.codec].thrift
    floor *= math.sqrt(frames_per_s / _WATCHABLE_RATE)
    if budget.bitrate >= floor:
        return
    least = (floor * budget.length_s / 8 + budget.other_bytes) / _AIM
    raise BadInputError(
        f"targetSize: {budget.size:,} bytes are too few for {budget.length_s:.0f} s of {picture.width}x{picture.height}"
        f" in {plan.codec}: at least {in_words(least)} (or ask for a smaller width, less audio or a shorter trim)"
    )


def _hit(job: JobContext, plan: Plan, budget: Budget, target: Path, steps: Sequence[Step]) -> Progress:
    """Encode, and again with another bitrate as long as the encoder misses the size; the last step is repeated."""
    sizes: dict[int, int] = {}
    bitrate = budget.bitrate
    for tries in range(_MOST_TRIES + 1):
        step = steps[tries] if tries < len(steps) else replace(steps[-1], words="once more")
        made = encode_once(job, plan, TwoPasses(bitrate, 2), target, step)
        got = target.stat().st_size
        is_enough = got >= _GOOD * budget.size or bitrate >= budget.bitrate_max or _is_sated(sizes, bitrate, got)
        if got <= budget.size and (is_enough or tries == _MOST_TRIES):
            return made
        sizes[bitrate] = got
        job.log(f"{got:,} of {budget.size:,} bytes with {bitrate:,} bit/s")
        bitrate = _next_bitrate(sizes, budget)
    least = in_words(min(sizes.values()))
    raise BadInputError(f"targetSize: the picture cannot be made small enough, {least} is the least possible")


def _is_sated(sizes: dict[int, int], bitrate: int, got: int) -> bool:
    """Whether a picture has nothing more to tell: more bits were offered, and not taken."""
    return any(less < bitrate and got <= _SATED * sizes[less] for less in sizes)


def _next_bitrate(sizes: dict[int, int], budget: Budget) -> int:
    """Return the bitrate that would have hit the size, by what others came to; the last try is near one below it.

    The more often it was missed, the lower the aim.
    """
    small = {bitrate: got for bitrate, got in sizes.items() if got <= budget.size}
    large = {bitrate: got for bitrate, got in sizes.items() if got > budget.size}
    if small and len(sizes) == _MOST_TRIES:
        # SVT-AV1 does not come to the same again.
        return round(0.98 * max(small, key=lambda bitrate: small[bitrate]))
    other = budget.found_other_bytes(sizes)
    wanted = (_AIM - 0.003 * len(large)) * budget.size - other
    if small and large:
        low, high = max(small), min(large)
        below, above = (max(1.0, sizes[bitrate] - other) for bitrate in (low, high))
        share = math.log(max(wanted, 1.0) / below) / math.log(above / below) if above > below else 0.5
        return round(low * math.pow(high / low, min(0.95, max(0.05, share))))
    nearest = max(small) if small else min(large)
    scale = wanted / max(1.0, sizes[nearest] - other)
    return max(1000, min(budget.bitrate_max, round(nearest * min(_STRONGEST_RAISE, scale))))


def _rate(plan: Plan) -> float:
    tick_rate = plan.frame_rate or plan.film.video.frame_rate
    return float(tick_rate) if tick_rate else _WATCHABLE_RATE


def _sum(sounds: Sequence[Sound]) -> int:
    return sum(sound.bitrate or 0 for sound in sounds)
