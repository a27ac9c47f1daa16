"""The ridge in plain numpy and scipy: fallback of the fast numerics, and the oracle that tests compare them with.

The rest of `heads/ridge` gives the same numbers at the scale of half a million rows of 4,096 features: it replaces
rows by sums, multiplies one half of a symmetric matrix, and needs one or two float32 factors for ten alphas.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from heads.ridge.symmetric import Real


def ridge_path(X: Real, Y: NDArray[np.float64], alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heads of every target for every alpha: X (n, d), Y (n, k) with NaN where not rated, result (a, k, d)."""
    rated = ~np.isnan(Y)  # (n, k)
    path = np.empty((len(alphas), Y.shape[-1], X.shape[-1]))
    for target, rows in enumerate(rated.T):
        x, y = X[rows], Y[rows, target]  # (m, d), (m,)
        path[:, [target]] = solutions(x.T @ x, (x.T @ y)[:, None], alphas)
    return path


def solutions(xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions of (xx + alpha I) w = xy in float64: xx (m, m), xy (m, c), result (a, c, m).

    NaN for an alpha too small for the system to be positive definite.
    """
    path = np.full((len(alphas), xy.shape[-1], len(xx)), np.nan)
    for number, alpha in enumerate(alphas):
        try:
            path[number] = cho_solve(cho_factor(xx + alpha * np.eye(len(xx))), xy).T
        except LinAlgError:
            continue
    return path
