"""Ratings against their scale: a small histogram, and whether the scale can be right."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from extract.records import RatedResponse, Record

MOST_BINS = 11
"""Bins of a histogram: one for each whole number of a scale of up to ten steps, else ten."""
ENOUGH = 32
"""Ratings from which on a scale is judged by its unused half."""
ENOUGH_OFF = 10
"""Ratings from which on a scale is judged by those off it."""
USUAL_FAULTS = 0.05
"""Fraction of ratings off the scale up to which nothing is said: the published sets have some, and they are skipped."""
MANY = 0.2
"""Fraction of ratings off the scale that stops a run."""
USUAL = ((0.0, 1.0), (1.0, 5.0), (0.0, 5.0), (1.0, 7.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
"""Scales that people and judges are given."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Histogram:
    """The ratings of one objective that were read."""

    low: float
    """Lowest rating of the recipe's scale."""
    high: float
    ratings: int
    """Number of ratings read, on the scale or off it."""
    smallest: float
    largest: float
    counts: tuple[int, ...]
    """Ratings in each of equal bins from `low` to `high`."""
    off: int
    """Ratings off the scale, which a run skips."""

    def bars(self) -> str:
        """The histogram as one line of characters; an empty bin is a dot."""
        most = max(self.counts, default=0)
        return "".join(BARS[(len(BARS) - 1) * count // most] if count else "·" for count in self.counts)


def histograms(records: Iterable[Record], scales: Mapping[str, tuple[float, float]]) -> dict[str, Histogram]:
    """Objective -> its ratings, for the objectives of the recipe that some record rates.

    Args:
        records: records of one rating set.
        scales: objective -> (lowest, highest) rating.
    """
    values: dict[str, list[float]] = {}
    for record in records:
        if isinstance(record, RatedResponse):
            for objective, rating in record.ratings.items():
                if objective in scales:
                    values.setdefault(objective, []).append(rating)
    return {objective: _histogram(values[objective], *scales[objective]) for objective in scales if objective in values}


def _histogram(values: Sequence[float], low: float, high: float) -> Histogram:
    steps = high - low
    whole = steps == int(steps) and steps + 1 <= MOST_BINS and all(value == int(value) for value in values)
    bins = int(steps) + 1 if whole else MOST_BINS - 1
    counts = [0] * bins
    on = [value for value in values if low <= value <= high]
    for value in on:
        place = int(value - low) if whole else min(bins - 1, math.floor((value - low) / steps * bins))
        counts[place] += 1
    return Histogram(low, high, len(values), min(values), max(values), tuple(counts), len(values) - len(on))


def doubt(objective: str, found: Histogram) -> tuple[str, bool] | None:
    """A sentence about a scale that does not fit what was read, and whether it is certain enough to stop a run."""
    scale = f"{found.low:g} to {found.high:g}"
    seen = f"the ratings '{objective}' that were read go from {found.smallest:g} to {found.largest:g}"
    if found.off > USUAL_FAULTS * found.ratings:
        sentence = f"{seen}, and {found.off} of {found.ratings} are off the recipe's scale of {scale}: {_remedy(found)}"
        return sentence, found.ratings >= ENOUGH_OFF and found.off >= MANY * found.ratings
    middle = (found.low + found.high) / 2
    if found.ratings >= ENOUGH and found.largest <= middle:
        fits = _smaller(found)
        way_out = "" if fits is None else ", and if the recipe is right, run `armorm extract --no-check`"
        sentence = f"{seen}, the lower half of the recipe's scale of {scale}: {_remedy(found)}{way_out}"
        return sentence, fits is not None
    return None


def _smaller(found: Histogram) -> tuple[float, float] | None:
    """A usual scale whose range the ratings fill, with a top in the lower half of the recipe's."""
    middle = (found.low + found.high) / 2
    fitting = [
        (low, high)
        for low, high in USUAL
        if low <= found.smallest and found.largest <= high <= middle and found.largest > (low + high) / 2
    ]
    return min(fitting, key=lambda scale: scale[1] - scale[0], default=None)


def _remedy(found: Histogram) -> str:
    fitting = [
        (low, high)
        for low, high in USUAL
        if low <= found.smallest and found.largest <= high and found.largest > (low + high) / 2
    ]
    if not fitting:
        return "look at the set's card and give its scale with `scale` or `scales` in the recipe"
    low, high = min(fitting, key=lambda scale: (scale[1] - scale[0], -scale[0]))
    return f"if the set's scale is {low:g} to {high:g}, give it with `scale` or `scales` in the recipe"
