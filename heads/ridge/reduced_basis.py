"""Solutions of (A + alpha I) w = b for many alphas within one small space of directions.

The solutions for all alphas lie close to a space of few dimensions. The space grows step by step, and after each step
the systems of all alphas are solved within it (Galerkin). It begins as the Krylov space of A and b (block Lanczos),
which suits large alphas. Then the residuals of the least accurate alphas are added, preconditioned by a Cholesky factor
for one alpha (Davidson 1975), which suits small alphas and those near it. Each step costs one product with A; one or
two factors are enough for nine alphas, where otherwise each would need its own.
"""

import numpy as np
from numpy.typing import NDArray

from heads.ridge.cholesky import Factor
from heads.ridge.symmetric import Real

TOLERANCE = 1e-4
"""Largest relative error of a solution, by a bound that is about ten times too wide: losses then agree to at least
four digits. The final heads are solved separately."""

LANCZOS_STEPS = 40
"""Largest number of Lanczos steps: with fewer, a second and a third factor are needed, and each takes as long as at
least ten steps."""

CHECK_EVERY = 8
"""Lanczos steps between two checks of the solutions' errors."""

FACTOR_STEPS = (12, 6)
"""Number of steps with the first factor, and with each further one; beyond it, another factor is faster."""

SMALLEST = 1e-60
"""Replaces an alpha of 0, so that the bounds of its solution are finite."""


def reduced_basis_path(
    xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64], memory: Real | None = None
) -> NDArray[np.float64]:
    """Solutions of (xx + alpha I) w = xy, (a, c, m) float64; see `alpha_path`."""
    alphas = np.maximum(alphas, SMALLEST)
    basis = _Basis(xx, xy, alphas)
    solved: dict[int, NDArray[np.float64]] = {}  # alphas that were solved by a factor of their own
    factor: Factor | None = None
    factored: list[int] = []
    expansion, steps = xy, LANCZOS_STEPS
    while True:
        basis.grow(expansion)
        steps -= 1
        if factor is None and steps % CHECK_EVERY:
            expansion = basis.last_products
            continue
        path, residuals = basis.galerkin()  # (a, m, c) each
        directions, bounds = _error_bounds(path, residuals, alphas, factor)
        bounds[list(solved)] = 0.0
        unsolved = np.flatnonzero((bounds > TOLERANCE).any(axis=-1))
        if len(unsolved) == 0:
            break
        if steps > 0 and basis.has_room:
            worst = bounds.argmax(axis=0)[bounds.max(axis=0) > TOLERANCE]  # (columns left,)
            left = np.flatnonzero(bounds.max(axis=0) > TOLERANCE)
            expansion = basis.last_products if factor is None else directions[worst, :, left].T
            continue
        untried = [at for at in unsolved if at not in factored]
        if not untried or not basis.has_room:  # rounding prevents a basis
            solved |= {int(at): _alone(xx, xy, float(alphas[at]), memory) for at in unsolved}
            break
        at = int(untried[len(untried) // 2 if factored else 0])
        factored.append(at)
        factor = Factor.of(xx, float(alphas[at]), memory)
        if factor is None:  # alpha is too small
            solved[at], expansion = np.full_like(xy, np.nan), residuals[at]
        else:
            expansion = factor.approximate(residuals[at])
        steps = FACTOR_STEPS[min(len(factored), len(FACTOR_STEPS)) - 1]
    for at, solution in solved.items():
        path[at] = solution
    return path.transpose(0, 2, 1)


def _error_bounds(
    path: NDArray[np.float64], residuals: NDArray[np.float64], alphas: NDArray[np.float64], factor: Factor | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions for the next step (a, m, c), and bounds of the relative errors (a, c).

    The error is (A + alpha I)^-1 r. No eigenvalue of A is negative, so its norm is at most |r| / alpha, and with a
    factor for beta at most |(A + beta I)^-1 r| max(1, beta / alpha).
    """
    a, m, c = residuals.shape
    size = np.maximum(np.linalg.norm(path, axis=1), np.finfo(np.float64).tiny)  # (a, c)
    if factor is None:
        return residuals, np.linalg.norm(residuals, axis=1) / (alphas[:, None] * size)
    columns = residuals.transpose(1, 0, 2).reshape(m, a * c)
    directions = factor.approximate(columns).reshape(m, a, c).transpose(1, 0, 2)
    return directions, np.linalg.norm(directions, axis=1) * np.maximum(1.0, factor.alpha / alphas)[:, None] / size


def _alone(xx: Real, xy: NDArray[np.float64], alpha: float, memory: Real | None) -> NDArray[np.float64]:
    factor = Factor.of(xx, alpha, memory)
    return np.full_like(xy, np.nan) if factor is None else factor.solve(xy)


class _Basis:
    """Orthonormal directions V, and A projected onto them."""

    def __init__(self, xx: Real, xy: NDArray[np.float64], alphas: NDArray[np.float64]) -> None:
        self._xx, self._xy, self._alphas = xx, xy, alphas
        most = min(len(xx), 80 * xy.shape[-1])
        self._directions = np.empty((len(xx), most), order="F")  # V (m, s)
        self._products = np.empty((len(xx), most), order="F")  # A V (m, s)
        self._projected = np.empty((most, most))  # V' A V (s, s)
        self._size = self._last = 0

    @property
    def last_products(self) -> NDArray[np.float64]:
        """A times the directions of the last block, the next Lanczos block."""
        return self._products[:, self._size - self._last : self._size]

    @property
    def has_room(self) -> bool:
        """Whether another block of directions fits."""
        return self._size + self._xy.shape[-1] <= self._directions.shape[-1]

    def grow(self, block: NDArray[np.float64]) -> None:
        """Extend the space by the directions of a block (m, b)."""
        new = block / np.maximum(np.linalg.norm(block, axis=0), np.finfo(np.float64).tiny)  # (m, b)
        old = self._directions[:, : self._size]
        for _ in range(2):  # a second time against rounding
            new -= old @ (old.T @ new)
            new, _ = np.linalg.qr(new)
        low, high = self._size, self._size + new.shape[-1]
        self._directions[:, low:high] = new
        self._products[:, low:high] = self._xx @ new
        corner = self._directions[:, :high].T @ self._products[:, low:high]  # (s, b)
        self._projected[:high, low:high] = corner
        self._projected[low:high, :high] = corner.T
        self._size, self._last = high, high - low

    def galerkin(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The solution of every system within the space, and its residual: (a, m, c) each."""
        used = slice(self._size)
        directions, products = self._directions[:, used], self._products[:, used]
        values, vectors = np.linalg.eigh(self._projected[used, used])
        coordinates = vectors.T @ (directions.T @ self._xy)  # (s, c)
        shifted = np.maximum(values, 0.0) + self._alphas[:, None]  # (a, s)
        small = vectors @ (coordinates / shifted[:, :, None])  # (a, s, c)
        flat = small.transpose(1, 0, 2).reshape(len(values), -1)  # (s, a * c): one product for all
        shape = (len(self._xx), *small.shape[::2])
        path = (directions @ flat).reshape(shape).transpose(1, 0, 2)  # (a, m, c)
        image = (products @ flat).reshape(shape).transpose(1, 0, 2)  # A times it
        return path, self._xy - image - self._alphas[:, None, None] * path
