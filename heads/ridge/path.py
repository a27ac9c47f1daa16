"""The door to the ridge's numerics: solutions of (A + alpha I) w = b for every alpha and every b, from one A.

Three ways, by size:

- up to `EIGEN_WIDTH` columns, one eigendecomposition gives the exact solution for every alpha;
- for one or two alphas, or many right-hand sides, one float32 Cholesky factor for each alpha, with solutions
  refined by residuals in float64;
- otherwise a reduced basis, which costs a fraction of a factor for each alpha.

Where LAPACK does not converge on them, `heads.ridge.plain` solves for each alpha by itself.
"""

import logging

import numpy as np
from numpy.typing import NDArray

from heads.ridge import plain
from heads.ridge.cholesky import Factor
from heads.ridge.reduced_basis import reduced_basis_path
from heads.ridge.symmetric import Real

log = logging.getLogger(__name__)

EIGEN_WIDTH = 1024
"""Largest width whose eigendecomposition takes less than a second."""

FEW_ALPHAS = 2
"""Largest number of alphas for which one factor each is the fastest way."""

BASIS_TARGETS = 6
"""Largest number of right-hand sides for which a basis stays small."""


def alpha_path(
    xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64], memory: Real | None = None
) -> NDArray[np.float64]:
    """Solutions of (xx + alpha I) w = xy.

    Args:
        xx: (m, m), symmetric, positive semidefinite.
        xy: (m, c)
        alphas: (a,), 0 or more.
        memory: see `Factor.of`.

    Returns:
        (a, c, m) float64; NaN for an alpha too small for the system to be positive definite in its precision.
    """
    try:
        if len(xx) <= EIGEN_WIDTH:
            return _eigen_path(xx, xy, alphas)
        if len(alphas) <= FEW_ALPHAS or xy.shape[-1] > BASIS_TARGETS:
            return np.stack([_factor_solution(xx, xy, float(alpha), memory) for alpha in alphas])
        return reduced_basis_path(xx, xy, alphas, memory)
    except np.linalg.LinAlgError as error:
        log.warning("%s: each of %d alphas is solved by itself", error, len(alphas))
        return plain.solutions(xx, xy, alphas)


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
