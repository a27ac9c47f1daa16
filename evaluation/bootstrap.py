"""Bootstrap intervals for figures of rows that share prompts.

Prompts are drawn with replacement, not rows: the outcomes of rows that share a prompt depend on each other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of draws. The ends of a 95 % interval move by a few hundredths of its width from seed to seed."""

FEWER_RESAMPLES = 500
"""Number of draws for figures that take every row again in each draw; the ends move twice as much."""

Rows = NDArray[np.bool_] | NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Interval:
    """An accuracy, or a difference of two, with its 95 % interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Any figure with its 95 % interval; NaN where it is not defined, None where it was read from JSON."""

    value: float | None
    low: float | None
    high: float | None


def by_prompt(
    right: Mapping[str, Rows], prompt: NDArray[np.integer], reference: str, seed: int = 0
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Accuracy of each rule, and each rule's lead over a reference rule, with percentile intervals.

    All rules are judged on the same draws, so that the lead of one over another has an interval of its own,
    narrower than the two accuracies' intervals suggest.

    Args:
        right: rule -> (n,) outcome of each row: whether it is judged right, or a number from 0 to 1.
        prompt: (n,) which prompt each row belongs to.
        reference: the rule that the others are compared with.
        seed: seed of the draws.

    Returns:
        Accuracies by rule, and leads over the reference by rule.
    """
    names = list(right)
    outcomes = np.stack([right[name] for name in names], axis=-1).astype(np.float64)  # (n, rules)
    sums, counts = sums_by_prompt(outcomes, prompt)
    drawn = np.empty((RESAMPLES, len(names)))
    for number, times in enumerate(draws(len(counts), RESAMPLES, seed)):
        drawn[number] = times @ sums / (times @ counts)
    means = outcomes.mean(axis=0)  # (rules,)
    at = names.index(reference)
    return (
        _intervals(names, means, drawn),
        _intervals(names, means - means[at], drawn - drawn[:, at : at + 1]),
    )


def where_judged(
    outcomes: Mapping[str, NDArray[np.float64]], prompt: NDArray[np.integer], seed: int = 0
) -> dict[str, Interval]:
    """Accuracy of each rule on the rows it judged; rules that judged none are skipped.

    Args:
        outcomes: rule -> (n,) how right each row was judged, 0 to 1; NaN where the rule did not judge it.
        prompt: (n,) which prompt each row belongs to.
        seed: seed of the draws.
    """
    alike: dict[bytes, list[str]] = {}  # rules that judged the same rows are resampled together
    for name, values in outcomes.items():
        alike.setdefault((~np.isnan(values)).tobytes(), []).append(name)
    found: dict[str, Interval] = {}
    for mask, names in alike.items():
        rows = np.frombuffer(mask, dtype=np.bool_)
        if rows.any():
            found |= by_prompt({name: outcomes[name][rows] for name in names}, prompt[rows], names[0], seed)[0]
    return {name: found[name] for name in outcomes if name in found}


def reweighted(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    prompt: NDArray[np.integer],
    seed: int = 0,
    resamples: int = FEWER_RESAMPLES,
) -> list[Estimate]:
    """Any figures with percentile intervals: a prompt that is drawn twice gives its rows weight 2.

    Args:
        statistic: weights of rows (n,) -> figures (f,); a figure that is not defined is NaN.
        prompt: (n,) which prompt each row belongs to.
        seed: seed of the draws.
        resamples: number of draws.

    Returns:
        One estimate for each figure; draws in which it is not defined are skipped.
    """
    _, place = np.unique(prompt, return_inverse=True)
    values = statistic(np.ones(len(place)))  # (f,)
    drawn = np.stack([statistic(times[place]) for times in draws(int(place.max()) + 1, resamples, seed)])
    estimates = []
    for value, column in zip(values, drawn.T, strict=True):
        defined = column[~np.isnan(column)]
        low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
        estimates.append(Estimate(float(value), float(low), float(high)))
    return estimates


def draws(prompts: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Number of times that each prompt is drawn, draw after draw. Shape (prompts,) each."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(prompts, size=prompts), minlength=prompts).astype(np.float64)


def sums_by_prompt(
    values: NDArray[np.float64], prompt: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of rows' values (n, f) and numbers of rows by prompt. Shapes (prompts, f) and (prompts,)."""
    _, place = np.unique(prompt, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    return np.stack([np.bincount(place, column) for column in values.T], axis=-1), counts


def _intervals(names: list[str], means: NDArray[np.float64], drawn: NDArray[np.float64]) -> dict[str, Interval]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)  # (rules,) each
    return {
        name: Interval(float(mean), float(below), float(above))
        for name, mean, below, above in zip(names, means, low, high, strict=True)
    }
