"""Features in the coordinates of their leading principal directions, in which a penalised linear model is fast to fit.

The coordinates are shared by all objectives that the same data sets rate, and by every penalty. A model over them is a
linear model over the features: with as many directions as features, any; otherwise one without the directions in which
the features vary least, where a penalty leaves least of a weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh

ROWS_PER_FEATURE = 4
"""Number of sampled rows for each feature, of which the directions are found."""

BLOCK_ROWS = 4096
"""Number of rows converted to float32 at once."""

EXACT_WIDTH = 1024
"""Up to this many features the directions are found in float64."""

SMALLEST = 1e-7
"""Directions with a smaller share of the largest variance are rounding, and left out."""


@dataclass(frozen=True, slots=True)
class PrincipalDirections:
    """Leading principal directions of some features."""

    mean: NDArray[np.float64]
    """(d,)"""
    directions: NDArray[np.float32]
    """(d, r), orthonormal."""
    variances: NDArray[np.float64]
    """(r,), falling."""

    @classmethod
    def of(cls, features: NDArray[np.floating[Any]], most: int) -> "PrincipalDirections":
        """The leading directions, `most` at most, of features (n, d)."""
        n, d = features.shape
        some = features[:: max(1, n // (ROWS_PER_FEATURE * d))]  # (m, d)
        total, products = np.zeros(d), np.zeros((d, d))
        shift = some[:BLOCK_ROWS].mean(axis=0, dtype=np.float64).astype(np.float32)  # products near 0 keep digits
        for _, block in _blocks(some):
            centred = block - shift  # (b, d)
            total += centred.sum(axis=0, dtype=np.float64)
            products += centred.T @ centred
        offset = total / len(some)
        covariance = products / len(some) - np.outer(offset, offset)  # (d, d)
        if d > EXACT_WIDTH:
            covariance = covariance.astype(np.float32)
        first = max(0, d - min(most, d))
        values, vectors = eigh(covariance, subset_by_index=[first, d - 1], overwrite_a=True, check_finite=False)
        values, vectors = values[::-1].astype(np.float64), vectors[:, ::-1]
        kept = values > SMALLEST * max(float(values[0]), 1e-300)
        mean = shift + offset
        return cls(mean, np.ascontiguousarray(vectors[:, kept], dtype=np.float32), values[kept])

    def coordinates(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Features (n, d) in coordinates of mean 0 and variance 1. Shape (n, r)."""
        scaled = self.directions / np.sqrt(self.variances).astype(np.float32)  # (d, r)
        found = np.empty((len(features), len(self.variances)), dtype=np.float32)
        for rows, block in _blocks(features):
            found[rows] = (block - self.mean.astype(np.float32)) @ scaled
        return found

    def weights(self, slopes: NDArray[np.float64], intercepts: NDArray[np.float64]) -> "LinearWeights":
        """Slopes (c, r) over coordinates, and intercepts (c,), as weights over features."""
        wide = (slopes / np.sqrt(self.variances)) @ self.directions.T.astype(np.float64)  # (c, d)
        return LinearWeights(wide, intercepts - wide @ self.mean)

    def penalty(self, alpha: float) -> NDArray[np.float64]:
        """The penalty of each squared slope that is alpha times the squared length of the weights. Shape (r,)."""
        return alpha / self.variances


@dataclass(frozen=True, slots=True)
class LinearWeights:
    """Weights over features."""

    coef: NDArray[np.float64]
    """(c, d)"""
    intercept: NDArray[np.float64]
    """(c,)"""


@dataclass(frozen=True, slots=True)
class RidgeStart:
    """A ridge over coordinates, from which the other heads depart."""

    alpha: float
    slopes: NDArray[np.float64]
    """(r,)"""
    intercept: float
    deviation: float
    """Root mean square of its residuals on the rows it was fitted on, never 0."""

    def predict(self, coordinates: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predictions (n,) for coordinates (n, r)."""
        return (coordinates @ self.slopes.astype(np.float32)).astype(np.float64) + self.intercept

    @classmethod
    def fit(
        cls,
        coordinates: NDArray[np.float32],
        targets: NDArray[np.float64],
        basis: PrincipalDirections,
        alphas: tuple[float, ...],
    ) -> list["RidgeStart"]:
        """The ridge for each alpha, from coordinates (n, r) and targets (n,)."""
        mean, shift = targets.mean(), coordinates.mean(axis=0, dtype=np.float64)  # (r,)
        products = (coordinates.T @ coordinates).astype(np.float64) - len(targets) * np.outer(shift, shift)  # (r, r)
        right = coordinates.T.astype(np.float64) @ (targets - mean)  # (r,)
        found = []
        for alpha in alphas:
            system = products + np.diag(basis.penalty(alpha))
            slopes = cho_solve(cho_factor(system, lower=True), right)  # (r,)
            start = cls(alpha, slopes, float(mean - slopes @ shift), 1.0)
            residuals = targets - start.predict(coordinates)
            found.append(cls(alpha, slopes, start.intercept, float(np.sqrt(np.mean(residuals**2))) or 1e-6))
        return found


def _blocks(features: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Blocks of rows (b, d) in float32."""
    for start in range(0, len(features), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        yield rows, features[rows].astype(np.float32, copy=False)
