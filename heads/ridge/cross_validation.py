"""Generalised cross-validation: choosing alpha without validation rows, from statistics alone."""

import numpy as np
from numpy.typing import NDArray

from heads.ridge.path import EIGEN_WIDTH
from heads.ridge.subset import Subset
from heads.ridge.system import RidgeSystem, degrees_of_freedom


def generalised_errors(
    subset: Subset, system: RidgeSystem, path: NDArray[np.float64], objectives: list[int], alphas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Generalised cross-validation (Golub, Heath and Wahba 1979): leave-one-out with every leverage at its mean.

    Computed from statistics alone: (residual sum of squares / n) / (1 - degrees of freedom / n)².

    Args:
        subset: rows of the fit.
        system: the system of these rows.
        path: (a, c, m) solutions.
        objectives: indices of the c objectives.
        alphas: (a,) penalties.

    Returns:
        (a, c) float64 mean squared errors; NaN for an alpha too small.
    """
    squares = subset.squares(path.reshape(-1, subset.width)).reshape(path.shape[:2])  # (a, c)
    products = np.einsum("acm,mc->ac", path, subset.xy[:, objectives])
    residual = np.maximum(squares - 2.0 * products + subset.yy[objectives], 0.0) / subset.weight_sum
    if len(system.matrix) <= EIGEN_WIDTH:
        values = np.maximum(np.linalg.eigvalsh(system.matrix), 0.0)  # (s,)
        freedom = (values / (values + alphas[:, None])).sum(axis=-1)  # (a,)
    else:
        factors = (system.factor(float(alpha)) for alpha in alphas)
        freedom = np.array([np.nan if factor is None else degrees_of_freedom(factor) for factor in factors])
    return residual / np.square(1.0 - np.minimum(freedom / subset.weight_sum, 1.0 - 1e-9))[:, None]
