"""Risk against coverage: errors among the decisions that are kept when the least confident are left open.

Decisions are kept in the order of confidence, the surest first. Coverage is the fraction kept, risk the fraction of
wrong ones among them (El-Yaniv and Wiener 2010). The area AURC is the mean risk over the coverages 1/n, 2/n … 1; the
excess area is what it has above that of an oracle, which keeps every right decision before any wrong one (Geifman,
Uziel and El-Yaniv 2019, arXiv 1805.08206). Decisions of equal confidence have no order: their risk is the mean over all
orders. Random abstention is then equal confidence throughout, whose area is the error rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import FEWER_RESAMPLES, Estimate, draws

COVERAGES = tuple(step / 20 for step in range(1, 21))
"""Coverages of the points that a curve is kept at."""

NUMBERS_AT_ONCE = 1 << 21
"""Decisions times draws that are in memory at once."""

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """One way to be confident, by the decisions that it keeps."""

    area: Estimate
    excess: Estimate
    """The area above the oracle's."""
    risk: tuple[float, ...]
    """Risk at each of `COVERAGES`."""


def areas(confidence: Real, wrong: Real, times: Real) -> Real:
    """The area of each draw.

    A group of m decisions with equal confidence and mean error e follows j decisions with E errors: its t-th place has
    the risk (E + t e) / (j + t), whose sum is m e + (E - j e) (H(j + m) - H(j)) with the harmonic numbers H.

    Args:
        confidence: (n,) no NaN.
        wrong: (n,) how wrong each decision is, 0 to 1.
        times: (r, n) how often each draw holds each decision: whole numbers, not all 0.

    Returns:
        (r,)
    """
    order, starts = _groups(confidence)
    ordered = times[:, order]  # (r, n)
    counts = np.add.reduceat(ordered, starts, axis=-1)  # (r, groups)
    errors = np.add.reduceat(ordered * wrong[order], starts, axis=-1)  # (r, groups)
    after, errors_after = counts.cumsum(axis=-1), errors.cumsum(axis=-1)
    before, errors_before = after - counts, errors_after - errors
    total = after[:, -1]  # (r,)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1.0, total.max() + 1.0))])
    steps = harmonic[after.astype(np.int64)] - harmonic[before.astype(np.int64)]
    mean = errors / np.maximum(counts, 1.0)
    area: Real = (errors + (errors_before - before * mean) * steps).sum(axis=-1) / total
    return area


def curve(confidence: Real, wrong: Real) -> Real:
    """Risk of the k surest decisions for k = 1..n, the mean over all orders of equal confidences. Shape (n,)."""
    order, starts = _groups(confidence)
    sizes = np.diff(np.append(starts, len(order)))
    means = np.add.reduceat(wrong[order], starts) / sizes
    kept: Real = np.repeat(means, sizes).cumsum() / np.arange(1, len(order) + 1)
    return kept


def risk_at(confidence: Real, wrong: Real, coverages: Sequence[float] = COVERAGES) -> tuple[float, ...]:
    """Risk at coverages above 0 up to 1, each rounded up to a whole number of decisions."""
    risks = curve(confidence, wrong)
    places = np.ceil(np.asarray(coverages) * len(risks) - 1e-9).astype(np.int64)
    return tuple(risks[np.maximum(places, 1) - 1].tolist())


def drawn_areas(
    confidences: Sequence[Real],
    wrong: Real,
    prompt: NDArray[np.integer],
    seed: int = 0,
    resamples: int = FEWER_RESAMPLES,
) -> Real:
    """Areas of several confidences about the same decisions, of all decisions and then of bootstrap draws of prompts.

    Args:
        confidences: (n,) each.
        wrong: (n,)
        prompt: (n,) which prompt each decision belongs to.
        seed: seed of the draws.
        resamples: number of draws.

    Returns:
        (1 + resamples, confidences), the first line for all decisions.
    """
    _, place = np.unique(prompt, return_inverse=True)
    times = np.stack([np.ones(int(place.max()) + 1), *draws(int(place.max()) + 1, resamples, seed)])
    found = np.empty((len(times), len(confidences)))
    at_once = max(1, NUMBERS_AT_ONCE // len(place))
    for start in range(0, len(times), at_once):
        some = times[start : start + at_once][:, place]  # (r, n)
        for number, confidence in enumerate(confidences):
            found[start : start + at_once, number] = areas(confidence, wrong, some)
    return found


def estimate(drawn: Real) -> Estimate:
    """A figure of all decisions, which comes first, with the 95 % interval of the draws that follow."""
    low, high = np.percentile(drawn[1:], [2.5, 97.5])
    return Estimate(float(drawn[0]), float(low), float(high))


def _groups(confidence: Real) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of decisions, the surest first, and where each group of equal confidence begins in it."""
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
