"""Ridge solutions for many penalties from one matrix: (A + alpha I) w = b for every alpha and every b.

Three ways, by size:

- up to `EIGEN_WIDTH` columns, one eigendecomposition serves all penalties exactly;
- for one or two penalties, or many right-hand sides, a Cholesky factor each, in float32, whose solutions are
  refined with residuals in float64;
- else a reduced basis (below), which costs a fraction of a factor a penalty.
"""

import numpy as np
from numpy.typing import NDArray

from heads.ridge.cholesky import Factor
from heads.ridge.reduced_basis import reduced_basis_path
from heads.ridge.symmetric import Real

EIGEN_WIDTH = 1024
"""Up to here an eigendecomposition takes less than a second."""

FEW_PENALTIES = 2
"""For as many a factor each is the shortest way."""

BASIS_TARGETS = 6
"""Beyond as many right-hand sides a basis for them grows too large."""


def penalty_path(
    xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64], memory: Real | None = None
) -> NDArray[np.float64]:
    """Solutions of (xx + alpha I) w = xy.

    Args:
        xx: (m, m), symmetric, not negative definite.
        xy: (m, c)
        alphas: (a,), not negative.
        memory: see `Factor.of`.

    Returns:
        (a, c, m) float64; NaN for a penalty too small for the system to be positive definite in its precision.
    """
    if len(xx) <= EIGEN_WIDTH:
        return _eigen_path(xx, xy, alphas)
    if len(alphas) <= FEW_PENALTIES or xy.shape[-1] > BASIS_TARGETS:
        return np.stack([_factor_solution(xx, xy, float(alpha), memory) for alpha in alphas])
    return reduced_basis_path(xx, xy, alphas, memory)


def _eigen_path(xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(xx)  # (m,), (m, m)
    rounding = np.finfo(np.float64).eps * len(xx) * np.abs(values).max(initial=0.0)
    coordinates = vectors.T @ xy  # (m, c)
    path = np.full((len(alphas), xy.shape[-1], len(xx)), np.nan)
    for number, alpha in enumerate(alphas):
        if values.min(initial=np.inf) + alpha > rounding:
            path[number] = (vectors @ (coordinates / (values + alpha)[:, None])).T  # (c, m)
    return path


def _factor_solution(xx: Real, xy: NDArray[np.float64], alpha: float, memory: Real | None) -> NDArray[np.float64]:
    """(c, m), NaN where the system is not positive definite."""
    factor = Factor.of(xx, alpha, memory)
    return np.full(xy.T.shape, np.nan) if factor is None else factor.solve(xy).T
