"""Exact Cholesky factors of the training rows, from which the uncertainty is made once validation rows calibrate it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from heads.ridge.symmetric import Real, packed

LOADING = 1e-3
"""Fraction of the mean variance that is added to every direction, so that one in which no rated row varies is far, and
not infinitely far. From 1e-4 to 1e-2 nearly the same responses are flagged (docs/uncertainty.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFactors:
    """The part of a fit of k heads over c columns that their uncertainty needs."""

    factors: tuple[NDArray[np.float32], ...]
    """(f,) packed Cholesky factors L with L L' = A + alpha I, one for each set of objectives with the same rows and
    alpha."""
    all_rows: NDArray[np.float32]
    """Packed Cholesky factor of the second moments of all rated rows, from `of_all_rows`."""
    factor_of: NDArray[np.int64]
    """(k,) index of each objective's factor."""
    noise: NDArray[np.float64]
    """(k,) mean squared error on the validation rows."""
    weight: NDArray[np.float64]
    """(k, c) heads fitted on the training rows alone."""
    shared: NDArray[np.float64]
    """(k, k) share of the training rows that two objectives have in common."""
    quantile: float
    """Fraction of the validation rows that counts as familiar."""
    first_column: int
    """First of the c columns, where rows hold several layers."""


def of_all_rows(moments: Real) -> NDArray[np.float32]:
    """Packed Cholesky factor under which leverage says how far a response is from all rated rows.

    The penalties of the heads are chosen for their predictions: one that is large makes every response look alike. So
    familiarity has a factor of its own, with the least penalty that is stable.

    Args:
        moments: (m, m) sum of the mean x x' of each set of rows that the same objectives rate, which counts them alike.
    """
    loading = LOADING * float(np.trace(moments)) / len(moments)
    return packed(cholesky(moments + max(loading, 1e-30) * np.eye(len(moments)), lower=True, check_finite=False))
