"""Correlation, rank correlation and AUC of weighted rows, fast enough for a bootstrap.

A bootstrap draw gives each row the number of times it was drawn as a weight. The ranks of rows so repeated need no
new sorting, since the order of the values stays.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Ranks:
    """Mid-ranks of n values under any weights."""

    def __init__(self, values: Values) -> None:
        distinct, self._place = np.unique(values, return_inverse=True)
        self._distinct = len(distinct)

    def under(self, weights: Values) -> Values:
        """Mid-rank of each value among the rows, each row repeated as often as its weight says. Shape (n,)."""
        weight_sum = np.bincount(self._place, weights, minlength=self._distinct)
        return (np.cumsum(weight_sum) - 0.5 * weight_sum + 0.5)[self._place]


def pearson(x: Values, y: Values, weights: Values) -> float:
    """Correlation of x and y (n,) under weights; NaN where either does not vary."""
    total = weights.sum()
    if total <= 0:
        return float("nan")
    x, y = x - weights @ x / total, y - weights @ y / total
    both = (weights @ (x * x)) * (weights @ (y * y))
    return float(weights @ (x * y) / np.sqrt(both)) if both > 0 else float("nan")


def auc(ranks: Values, positive: NDArray[np.bool_], weights: Values) -> float:
    """Probability that a positive row outranks a negative one, a tie counting half; NaN where either has no weight.

    The Mann-Whitney statistic divided by the number of pairs.
    """
    chosen = weights[positive]
    positives, negatives = chosen.sum(), weights[~positive].sum()
    if positives <= 0 or negatives <= 0:
        return float("nan")
    return float((chosen @ ranks[positive] - positives * (positives + 1) / 2) / (positives * negatives))
