"""Choosing a penalty without held-out rows: exact leave-one-out, and its approximation from statistics."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heads.ridge.path import EIGEN_WIDTH
from heads.ridge.subset import Subset
from heads.ridge.system import RidgeSystem, degrees_of_freedom


def leave_one_out_errors(X: ArrayLike, y: ArrayLike, alphas: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error of predicting each row by a ridge fitted to all others, for each penalty.

    Exact, from one decomposition instead of n fits: the error of row i is r_i / (1 - h_i), with its residual r_i
    and leverage h_i in the fit to all rows (Allen 1974; Golub, Heath and Wahba 1979, eq. 1.4). It needs the
    rows, since leverages do not follow from sums over them.

    Args:
        X: (n, d), finite.
        y: (n,) or (n, k), NaN where not rated.
        alphas: (a,), positive.

    Returns:
        (a,) or (a, k) float64; NaN for a target that no row rates.
    """
    features = np.asarray(X, dtype=np.float64)
    targets = np.asarray(y, dtype=np.float64)
    penalties = np.asarray(alphas, dtype=np.float64)
    if features.ndim != 2 or len(features) != len(targets) or not np.isfinite(features).all():
        raise ValueError("X must be a finite matrix with a row for every row of y")
    if not (penalties > 0).all():
        raise ValueError("every penalty must be above 0")
    columns = targets.reshape(len(targets), -1)  # (n, k)
    errors = np.full((len(penalties), columns.shape[-1]), np.nan)
    for column, values in enumerate(columns.T):
        rated = ~np.isnan(values)
        if not rated.any():
            continue
        left, singular, _ = np.linalg.svd(features[rated], full_matrices=False)  # (n, s), (s,)
        rotated = left.T @ values[rated]  # (s,)
        for number, alpha in enumerate(penalties):
            kept = singular**2 / (singular**2 + alpha)  # (s,)
            residual = values[rated] - left @ (kept * rotated)
            leverage = np.square(left) @ kept  # (n,)
            errors[number, column] = np.mean(np.square(residual / (1.0 - leverage)))
    return errors.reshape(len(penalties), *targets.shape[1:])


def generalised_errors(
    subset: Subset, system: RidgeSystem, path: NDArray[np.float64], objectives: list[int], alphas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Generalised cross-validation (Golub, Heath and Wahba 1979): leave-one-out with every leverage at its mean.

    It follows from statistics alone: (residual sum of squares / n) / (1 - degrees of freedom / n)².

    Args:
        subset: the rows of the fit.
        system: their equations.
        path: (a, c, m) solutions.
        objectives: c of them.
        alphas: (a,)

    Returns:
        (a, c) float64
    """
    squares = subset.squares(path.reshape(-1, subset.width)).reshape(path.shape[:2])  # (a, c)
    products = np.einsum("acm,mc->ac", path, subset.xy[:, objectives])
    residual = np.maximum(squares - 2.0 * products + subset.yy[objectives], 0.0) / subset.mass
    if len(system.matrix) <= EIGEN_WIDTH:
        values = np.maximum(np.linalg.eigvalsh(system.matrix), 0.0)  # (s,)
        freedom = (values / (values + alphas[:, None])).sum(axis=-1)  # (a,)
    else:
        factors = (system.factor(float(alpha)) for alpha in alphas)
        freedom = np.array([np.nan if factor is None else degrees_of_freedom(factor) for factor in factors])
    return residual / np.square(1.0 - np.minimum(freedom / subset.mass, 1.0 - 1e-9))[:, None]
