"""A Cholesky factor of A + alpha I, with its solutions, trace and condition number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from heads.ridge.symmetric import Real

REFINED = 1e-7
"""Relative error below which a solution counts as exact, estimated from its last two corrections."""

REFINEMENTS = 10
"""Largest number of corrections before the factor is computed again in float64."""

BLOCK = 128
"""Width of the diagonal blocks that are inverted. With them, a solve for few right-hand sides is a series of matrix
products, which use all cores; LAPACK's own solve takes twice as long."""

PROBES = 32
"""Number of random vectors for the estimate of the trace."""


class Factor:
    """L with L L' = A + alpha I.

    Computed in float32, a quarter of the time of float64. Solutions are as accurate as float64's, because each is
    corrected by the solution for its residual in float64 (iterative refinement; Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd ed., ch. 12). Computed in float64 where float32 is not accurate enough.

    Attributes:
        alpha: the penalty.
        lower: (m, m), Fortran-contiguous; values above the diagonal are undefined.
    """

    def __init__(self, xx: Real, alpha: float, lower: Real) -> None:
        self._xx = xx
        self.alpha = alpha
        self._set(lower)

    def _set(self, lower: Real) -> None:
        invert = lapack.strtri if lower.dtype == np.float32 else lapack.dtrtri
        starts = range(0, len(lower), BLOCK)
        self.lower = lower
        self._inverses = [np.tril(invert(lower[at : at + BLOCK, at : at + BLOCK], lower=1)[0]) for at in starts]

    @classmethod
    def of(cls, xx: Real, alpha: float, memory: Real | None = None) -> "Factor | None":
        """The factor of xx + alpha I, or None if that is not positive definite.

        Args:
            xx: (m, m), symmetric.
            alpha: the penalty.
            memory: (m, m) float32, Fortran-contiguous, in which the factor is computed; it is valid until the memory is
                written again.
        """
        lower = _factorised(xx, alpha, np.float32, memory)
        if lower is None:
            lower = _factorised(xx, alpha, np.float64)
        return None if lower is None else cls(xx, alpha, lower)

    def approximate(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """The solution of (A + alpha I) w = b in the factor's precision. Shapes (m, c)."""
        lower, w = self.lower, b.astype(self.lower.dtype)  # (m, m), (m, c)
        for number, inverse in enumerate(self._inverses):  # L v = b, downwards
            low, high = number * BLOCK, number * BLOCK + len(inverse)
            w[low:high] = inverse @ w[low:high]
            w[high:] -= lower[high:, low:high] @ w[low:high]
        for number, inverse in reversed(list(enumerate(self._inverses))):  # L' w = v, upwards
            low, high = number * BLOCK, number * BLOCK + len(inverse)
            w[low:high] -= lower[high:, low:high].T @ w[high:]
            w[low:high] = inverse.T @ w[low:high]
        return w.astype(np.float64)

    def solve(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """The solution of (A + alpha I) w = b in float64. Shapes (m, c).

        NaN if refinement converges with neither a float32 nor a float64 factor.
        """
        for _ in range(2):
            solution = self.approximate(b)
            before = size = np.linalg.norm(solution, axis=0)  # (c,)
            for _ in range(REFINEMENTS):
                correction = self.approximate(b - self._xx @ solution - self.alpha * solution)
                solution += correction
                after = np.linalg.norm(correction, axis=0)
                if (after * after <= REFINED * size * before).all():  # the corrections shrink geometrically
                    return solution
                before = after
            lower = _factorised(self._xx, self.alpha, np.float64) if self.lower.dtype == np.float32 else None
            if lower is None:
                break
            self._set(lower)
        return np.full_like(b, np.nan)

    def trace_of_inverse(self, seed: int = 0) -> tuple[float, float]:
        """An estimate of the trace of (A + alpha I)^-1, and its standard error.

        The mean of z' (A + alpha I)^-1 z over vectors z of random signs (Hutchinson 1990). An inverse would take as
        long as all alphas of an objective together.
        """
        rng = np.random.default_rng(seed)
        signs = rng.choice([-1.0, 1.0], (len(self.lower), PROBES))  # (m, probes)
        values = np.einsum("mp,mp->p", signs, self.approximate(signs))
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(PROBES))

    def condition(self) -> float:
        """LAPACK's estimate of the condition number of A + alpha I in the 1-norm."""
        norm = float(lapack.dlange("1", self._xx)) + self.alpha
        estimate = lapack.spocon if self.lower.dtype == np.float32 else lapack.dpocon
        reciprocal, _ = estimate(self.lower, norm, uplo="L")
        return float(1.0 / reciprocal) if reciprocal > 0 else float("inf")


def _factorised(xx: Real, alpha: float, dtype: type[np.floating[Any]], memory: Real | None = None) -> Real | None:
    penalised = np.empty(xx.shape, dtype=dtype, order="F") if memory is None else memory
    np.copyto(penalised, xx, casting="same_kind")
    penalised[np.diag_indices(len(xx))] = (np.diagonal(xx) + alpha).astype(dtype)
    if not np.isfinite(np.diagonal(penalised)).all():
        return None
    factorise = lapack.spotrf if dtype is np.float32 else lapack.dpotrf
    lower, failed = factorise(penalised, lower=1, overwrite_a=1, clean=0)
    return None if failed else lower
