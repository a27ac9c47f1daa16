"""Objectives found in pairs: principal directions of the differences between chosen and rejected features.

Decomposed reward models (Luo et al., arXiv 2502.13131) take the eigenvectors of the covariance of these differences as
reward heads, each with both signs. Here it is the second moment around zero. That is the covariance of the differences
taken both ways round, so the directions are those along which two answers to a prompt differ most, whichever was
chosen; centring would take out what all chosen answers share. The labels give each direction its sign.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from cache import FeatureStore, UserError
from cache.progress import Progress, silent
from heads.kinds.layers import LayerChoice
from heads.pairs.decided import DecidedPairs
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import TRAIN, Subset

ROUNDING = {"float64": 1e-12, "float32": 1e-6}
"""Dtype of products -> fraction of the largest variance below which a direction is their rounding."""


@dataclass(frozen=True, slots=True)
class Directions:
    """The N directions of largest variance, in falling order."""

    weight: NDArray[np.float64]
    """(N, c) heads. Along each, the training differences have mean square 1 and a mean that is not negative."""
    variance: NDArray[np.float64]
    """(N,) mean square of the differences along the direction as a unit vector."""
    ratio: NDArray[np.float64]
    """(N,) the variance as a fraction of that in all directions."""


def find_directions(
    store: FeatureStore, pairs: DecidedPairs, count: int, choice: LayerChoice, progress: Progress = silent
) -> Directions:
    """The principal directions of the pairs' differences of features.

    The differences are summed block by block into one (c, c) matrix, as the ridge's statistics are.

    Args:
        store: holds the features.
        pairs: the training pairs.
        count: number N of directions.
        choice: the columns that the heads read.
        progress: called with the number of pairs summed.

    Raises:
        UserError: the pairs differ in fewer directions.
    """
    width = len(choice.columns)
    statistics = GramStatistics(("chosen",), width, storage="float32")
    done = 0
    for block in pairs.blocks(store):
        statistics.add("pairs", TRAIN, choice.take(block.differences(store)), np.ones((len(block), 1)))
        done += len(block)
        progress("summing differences", done, len(pairs), "pairs")
    statistics.flush()
    return principal_directions(statistics.subset(), count, ROUNDING[statistics.layout.product])


def principal_directions(moments: Subset, count: int, rounding: float) -> Directions:
    """The directions of summed differences.

    Args:
        moments: sums over n differences of width c.
        count: number N of directions.
        rounding: fraction of the largest variance below which a direction is rounding.

    Raises:
        UserError: the differences span fewer directions.
    """
    n, c = moments.n, moments.width
    most = min(n, c)
    if count > most:
        raise _too_many(count, most, n)
    second = moments.xx() / n  # (c, c)
    total = float(np.trace(second))
    rising, vectors = eigh(second, subset_by_index=(c - count, c - 1), overwrite_a=True)  # (N,), (c, N)
    variance, units = rising[::-1], vectors[:, ::-1].T  # (N,), (N, c)
    found = int((variance > rounding * max(variance[0], 0.0)).sum())
    if found < count:
        raise _too_many(count, found, n)
    sign = np.sign(units @ moments.x)  # of the mean difference along each, (N,)
    largest = units[np.arange(count), np.abs(units).argmax(axis=-1)]  # (N,)
    sign = np.where(sign == 0, np.sign(largest), sign)
    return Directions(units * (sign / np.sqrt(variance))[:, None], variance, variance / total)


def _too_many(count: int, most: int, pairs: int) -> UserError:
    return UserError(
        f"heads.directions is {count}, and the {pairs:,} decided training pairs differ in {most} directions: ask for"
        " fewer, or add pairs"
    )
