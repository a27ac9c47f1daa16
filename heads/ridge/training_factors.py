"""Exact Cholesky factors of the training rows, from which the uncertainty is made once validation rows calibrate it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFactors:
    """The part of a fit of k heads over c columns that their uncertainty needs."""

    factors: tuple[NDArray[np.float32], ...]
    """(f,) packed Cholesky factors L with L L' = A + alpha I, one for each set of objectives with the same rows and
    alpha."""
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
