"""Finding the argument whose score reaches a target, with few scores asked for: each costs seconds of encoding."""

import math
from collections.abc import Callable, Mapping

_USUAL_TRIES = 6
# A score that is above the target by no more is as good as the target: at first, and after the usual tries.
_CLOSE, _FAIR = 0.4, 1.5
# What is lost by one more of CRF, until it has been seen.
_USUAL_SLOPE = 1.2


def search(
    score: Callable[[float], float], target: float, *, low: float, high: float, start: float, step: float
) -> tuple[float, float]:
    """Return the highest argument found, a multiple of `step`, whose score reaches the target, and the score.

    Without one, the best is returned. The score falls as its argument rises.
    """
    scores: dict[float, float] = {}
    guess = start
    while True:
        scores[guess] = score(guess)
        good = max((argument for argument in scores if scores[argument] >= target), default=None)
        bad = min((argument for argument in scores if good is None or argument > good), default=None)
        is_long = len(scores) >= _USUAL_TRIES
        if good is not None and (scores[good] - target <= (_FAIR if is_long else _CLOSE) or good >= high):
            break
        if is_long and (good is None or bad is None):
            break
        if bad is not None and (bad <= low or (good is not None and bad - good <= step)):
            break
        guess = max(low, min(high, _next(scores, target, good, bad, step=step)))
    reaching = [argument for argument in scores if scores[argument] >= target]
    found = max(reaching) if reaching else max(scores, key=lambda argument: scores[argument])
    return found, scores[found]


def _next(scores: Mapping[float, float], target: float, good: float | None, bad: float | None, *, step: float) -> float:
    """Guess where the target is: between what is known, else on along the slope."""
    if good is not None and bad is not None:
        if len(scores) >= _USUAL_TRIES:
            # These scores follow no curve.
            steps = round((bad - good) / step) // 2
        elif len(scores) == _USUAL_TRIES - 1:
            # Scores fall faster and faster, so a straight line seldom promises too much.
            steps = math.floor((bad - good) * (scores[good] - target) / (scores[good] - scores[bad]) / step)
        else:
            steps = round((_curved(scores, target) - good) / step)
        return good + step * max(1, min(round((bad - good) / step) - 1, steps))
    nearest, *others = sorted(scores, key=lambda argument: abs(scores[argument] - target))
    slope = _USUAL_SLOPE
    if others:
        slope = max(0.05, (scores[nearest] - scores[others[0]]) / (others[0] - nearest))
    steps = max(1, math.ceil(abs(scores[nearest] - target) / slope / step))
    return nearest + step * (steps if scores[nearest] >= target else -steps)


def _curved(scores: Mapping[float, float], target: float) -> float:
    """Return where the parabola through the three nearest scores, or the line through two, meets the target."""
    points = sorted(((score, argument) for argument, score in scores.items()), key=lambda one: abs(one[0] - target))[:3]
    place = 0.0
    for score, argument in points:
        others = [other for other, _ in points if other != score]
        place += argument * math.prod((target - other) / (score - other) for other in others)
    return place
