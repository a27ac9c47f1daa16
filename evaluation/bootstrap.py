"""Bootstrap intervals for accuracies on pairs that share prompts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Enough for the ends of a 95 % interval to move by a few hundredths of its width from seed to seed."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An accuracy, or a difference of two, with its 95 % interval."""

    accuracy: float
    low: float
    high: float


def by_prompt(
    right: dict[str, NDArray[np.bool_]], prompt: NDArray[np.integer], reference: str, seed: int = 0
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Accuracy of each rule, and each rule's lead over a reference rule, with percentile intervals.

    Prompts are drawn with replacement, not pairs: the pairs of a prompt are right or wrong together. All rules are
    judged on the same draws, so that the lead of one over another has an interval of its own, narrower than the
    two accuracies' intervals suggest.

    Args:
        right: rule -> (n,) which pairs it judges right.
        prompt: (n,) which prompt each pair belongs to.
        reference: the rule that the others are compared with.
        seed: of the draws.

    Returns:
        Accuracies by rule, and leads over the reference by rule.
    """
    names = list(right)
    _, place = np.unique(prompt, return_inverse=True)
    prompts = int(place.max()) + 1
    outcomes = np.stack([right[name] for name in names], axis=-1).astype(np.float64)  # (n, rules)
    sums = np.zeros((prompts, len(names)))
    np.add.at(sums, place, outcomes)
    counts = np.bincount(place, minlength=prompts).astype(np.float64)  # (prompts,)
    random = np.random.default_rng(seed)
    drawn = np.empty((RESAMPLES, len(names)))
    for number in range(RESAMPLES):
        times = np.bincount(random.integers(prompts, size=prompts), minlength=prompts)  # (prompts,)
        drawn[number] = times @ sums / (times @ counts)
    means = outcomes.mean(axis=0)  # (rules,)
    at = names.index(reference)
    return (
        _intervals(names, means, drawn),
        _intervals(names, means - means[at], drawn - drawn[:, at : at + 1]),
    )


def _intervals(names: list[str], means: NDArray[np.float64], drawn: NDArray[np.float64]) -> dict[str, Interval]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)  # (rules,) each
    return {
        name: Interval(float(mean), float(below), float(above))
        for name, mean, below, above in zip(names, means, low, high, strict=True)
    }
