"""Pearson and Spearman correlation, and the lambda at which that of r - lambda v with v is zero.

The correlation falls as lambda grows: for two rows with v_a > v_b the difference of their adjusted
rewards falls, so each pair of ranks can only turn against v. A root is therefore bracketed by doubling
and found by bisection; for Pearson it is cov(r, v) / var(v).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Column = NDArray[np.float64]
"""Shape (n,)."""

CLOSE_ENOUGH = 0.01
"""A correlation nearer to zero than this counts as taken out."""

ROUNDING = 1e-9
"""A spread below this fraction of the reward's is float64 rounding."""


def pearson(a: Column, b: Column) -> float:
    """Pearson correlation; 0 where one of the two does not vary."""
    x, y = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else 0.0


def spearman(a: Column, b: Column) -> float:
    """Spearman correlation; tied values get their mean rank."""
    return pearson(rankdata(a), rankdata(b))


def pearson_root(r: Column, v: Column) -> float:
    """The lambda with corr(r - lambda v, v) = 0: the slope of r on v."""
    centred = v - v.mean()
    return float(centred @ (r - r.mean()) / (centred @ centred))


def spearman_root(r: Column, v: Column) -> float:
    """The lambda at which the rank correlation of r - lambda v with v passes zero.

    On finitely many rows the correlation is a step function; where it steps over zero, the side with the smaller
    correlation is returned. scipy's bisection stops at another float, and with it the lambdas would change.
    """
    ranks = rankdata(v)

    def at(value: float) -> float:
        return pearson(rankdata(r - value * v), ranks)

    start = pearson_root(r, v)
    width = float(np.std(r - start * v) / np.std(v)) or 1.0
    low, high = start - width, start + width
    for _ in range(60):
        if at(low) >= 0:
            break
        low -= width
        width *= 2
    for _ in range(60):
        if at(high) <= 0:
            break
        high += width
        width *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        value = at(middle)
        if value == 0:
            return middle
        low, high = (middle, high) if value > 0 else (low, middle)
    return min((low, high), key=lambda value: abs(at(value)))


MEASURES: dict[str, Callable[[Column, Column], float]] = {"spearman": spearman, "pearson": pearson}

ROOTS: dict[str, Callable[[Column, Column], float]] = {"spearman": spearman_root, "pearson": pearson_root}
