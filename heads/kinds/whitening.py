"""A change of variables that preconditions a penalised linear model's loss, so that L-BFGS needs few steps.

Features of a language model have a few large common directions, and a loss over them has a condition number of
millions. With L Lᵀ = curvature · XᵀX + alpha I and w = L⁻ᵀ u, the Hessian over u is near the identity.
A few rows for each feature are enough for L: it changes the steps, not the result.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, eigh, solve_triangular

ROWS_PER_FEATURE = 4
"""Number of sampled rows for each feature."""

BLOCK_ROWS = 4096
"""Number of rows converted to float32 at once."""


def root_mean_square(values: NDArray[np.floating[Any]], weight: NDArray[np.float64] | None = None) -> float:
    """Root mean square of all values (n, d), of rows with weights (n,) or all 1; 1 if all are 0.

    Summed in float64 without a copy.
    """
    if weight is None:
        return float(np.sqrt(np.einsum("nd,nd->", values, values, dtype=np.float64) / values.size)) or 1.0
    squares = np.einsum("nd,nd->n", values, values, dtype=np.float64)  # (n,)
    return float(np.sqrt(weight @ squares / (weight.sum() * values.shape[-1]))) or 1.0


class Whitening:
    """The change of variables for one set of rows and one alpha.

    Args:
        features: (n, d) of any floating dtype.
        mean: (d,) subtracted from every row; zeros for a model without intercept.
        curvature: second derivative of a row's loss by its score.
        alpha: penalty; above zero.
        quadratic: (d, d) second derivative of a further quadratic term of the loss by the weights; None: there is none.
    """

    def __init__(
        self,
        features: NDArray[np.floating[Any]],
        mean: NDArray[np.float64],
        curvature: float,
        alpha: float,
        quadratic: NDArray[np.float64] | None = None,
    ) -> None:
        n, d = features.shape
        self.width = d
        some = features[:: max(1, n // (ROWS_PER_FEATURE * d))]  # (m, d)
        hessian = np.zeros((d, d))
        for start in range(0, len(some), BLOCK_ROWS):
            block = some[start : start + BLOCK_ROWS].astype(np.float32) - mean.astype(np.float32)  # (b, d)
            hessian += block.T @ block
        hessian *= curvature * n / len(some)
        if quadratic is not None:
            hessian += quadratic
        # Rounding of float32 products is about 1e-7 of the largest direction; a smaller alpha would have no effect.
        hessian[np.diag_indices(d)] += alpha + 1e-6 * np.trace(hessian) / d
        self._factor = cho_factor(hessian, lower=True, overwrite_a=True)[0]  # (d, d), its lower half

    def weights(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """L⁻ᵀ u: the model's weights. Shape (d,)."""
        return solve_triangular(self._factor, u, lower=True, trans=1, check_finite=False)

    def gradient(self, by_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """L⁻¹ g: the gradient over u from the gradient over the weights. Shape (d,)."""
        return solve_triangular(self._factor, by_weights, lower=True, check_finite=False)


class SharedAxes:
    """Principal axes of a second derivative, from which the change of variables follows for any multiple of it.

    Args:
        hessian: (d, d) symmetric, without a negative eigenvalue but for rounding; overwritten.
    """

    def __init__(self, hessian: NDArray[np.float64]) -> None:
        self._trace = float(np.trace(hessian))
        self._values, self._axes = eigh(hessian, overwrite_a=True, check_finite=False)  # (d,), (d, d)

    def whitening(self, factor: float, alpha: float) -> "AxisWhitening":
        """The change of variables for `factor` times the second derivative, and a penalty."""
        d = len(self._values)
        floor = alpha + 1e-6 * factor * self._trace / d  # as in `Whitening`
        return AxisWhitening(self._axes, 1.0 / np.sqrt(factor * np.maximum(self._values, 0.0) + floor))


class AxisWhitening:
    """The change of variables w = axes · (scales · u).

    Args:
        axes: (d, d) orthonormal columns, which several of these share.
        scales: (d,)
    """

    def __init__(self, axes: NDArray[np.float64], scales: NDArray[np.float64]) -> None:
        self._axes = axes
        self._scales = scales
        self.width = len(axes)

    def weights(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """The model's weights. Shape (d,)."""
        return self._axes @ (self._scales * u)

    def gradient(self, by_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gradient over u from the gradient over the weights. Shape (d,)."""
        return self._scales * (by_weights @ self._axes)
