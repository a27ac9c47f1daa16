"""The equations of a ridge over some rows, in the smaller of two spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.ridge.cholesky import Factor
from heads.ridge.path import EIGEN_WIDTH, alpha_path
from heads.ridge.subset import Subset
from heads.ridge.symmetric import Real


@dataclass(frozen=True, slots=True)
class RidgeSystem:
    """(matrix + alpha I) z = right, for objectives that are rated by the same rows.

    With fewer rows than columns, the system is solved in the space of the rows: w = X' (X X' + alpha I)^-1 y, which is
    equivalent (Saunders, Gammerman and Vovk 1998), smaller, and free of the rounding of sums.
    """

    matrix: Real
    """(s, s): x' x over m columns, or x x' over n rows."""
    right: NDArray[np.float64]
    """(s, c) for c objectives."""
    rows: NDArray[np.float64] | None
    """(n, m) in the space of the rows; None in the space of the columns."""
    centre: NDArray[np.float64]
    """(m,) mean that was subtracted from each row; 0 without intercept."""
    mean: NDArray[np.float64]
    """(c,) mean that was subtracted from the targets; 0 without intercept."""
    memory: Real | None
    """(s, s) float32, memory in which each factor overwrites the last."""

    @classmethod
    def of(
        cls, subset: Subset, objectives: Sequence[int], fit_intercept: bool = False, xx: Real | None = None
    ) -> "RidgeSystem":
        """The system of some objectives over the rows of a subset.

        Args:
            subset: rows that rate all these objectives.
            objectives: indices of the c objectives.
            fit_intercept: whether each has a constant, which is not penalised.
            xx: the subset's x' x, if it is known already; overwritten.
        """
        wanted = list(objectives)
        centre = subset.x / subset.weight_sum if fit_intercept else np.zeros(subset.width)  # (m,)
        mean = subset.y[wanted] / subset.weight_sum if fit_intercept else np.zeros(len(wanted))
        if subset.is_small and xx is None:
            x, y, weights = subset.rows()
            root = np.sqrt(weights)[:, None]
            x, y = root * (x - centre), root * (y[:, wanted] - mean)  # (n, m), (n, c)
            return cls(x @ x.T, y, x, centre, mean, None)
        total = subset.xx() if xx is None else xx
        xy = subset.xy[:, wanted]
        if fit_intercept:
            total -= subset.weight_sum * np.outer(centre, centre)
            xy = xy - subset.weight_sum * np.outer(centre, mean)
        memory = subset.scratch.matrix(len(total), np.float32) if len(total) > EIGEN_WIDTH else None
        return cls(total, xy, None, centre, mean, memory)

    def path(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights for every alpha: (a, c, m), NaN for an alpha too small."""
        solutions = alpha_path(self.matrix, self.right, alphas, self.memory)  # (a, c, s)
        return solutions if self.rows is None else solutions @ self.rows

    def intercepts(self, path: NDArray[np.float64]) -> NDArray[np.float64]:
        """Constants for weights (a, c, m). Shape (a, c)."""
        return self.mean - path @ self.centre

    def solved(self, alphas: NDArray[np.float64]) -> list["SolvedSystem"]:
        """The solution for each alpha, with its degrees of freedom and condition number.

        Up to `EIGEN_WIDTH` they follow from the eigenvalues; beyond, from Cholesky factors: degrees of freedom are
        estimated with random signs, to about a quarter of their square root, and the condition number is LAPACK's
        estimate in the 1-norm.
        """
        if len(self.matrix) <= EIGEN_WIDTH:
            values = np.maximum(np.linalg.eigvalsh(self.matrix), 0.0)  # (s,)
            freedoms = (values / (values + alphas[:, None])).sum(axis=-1)  # (a,)
            conditions = (values[-1] + alphas) / (values[0] + alphas)  # (a,)
            each = zip(self.path(alphas), freedoms, conditions, strict=True)
            return [SolvedSystem(weights, float(freedom), float(condition)) for weights, freedom, condition in each]
        found: list[SolvedSystem] = []
        for alpha in alphas:
            factor = self.factor(float(alpha))
            if factor is None:
                nothing = np.full((self.right.shape[-1], len(self.centre)), np.nan)
                found.append(SolvedSystem(nothing, float("nan"), float("inf")))
                continue
            solution = factor.solve(self.right).T  # (c, s)
            weights = solution if self.rows is None else solution @ self.rows
            found.append(SolvedSystem(weights, degrees_of_freedom(factor), factor.condition()))
        return found

    def factor(self, alpha: float) -> Factor | None:
        """The Cholesky factor for alpha, valid until the next one is computed; None if alpha is too small."""
        return Factor.of(self.matrix, alpha, self.memory)


@dataclass(frozen=True, slots=True)
class SolvedSystem:
    """The solution of a system for one alpha."""

    weights: NDArray[np.float64]
    """(c, m), NaN if alpha is too small."""
    degrees_of_freedom: float
    """Effective degrees of freedom: tr(A (A + alpha I)^-1)."""
    condition: float
    """Condition number of A + alpha I."""


def degrees_of_freedom(factor: Factor) -> float:
    """Effective degrees of freedom, estimated from a factor: s - alpha tr((A + alpha I)^-1)."""
    trace, _ = factor.trace_of_inverse()
    return float(np.clip(len(factor.lower) - factor.alpha * trace, 0.0, len(factor.lower)))


def scores_of(
    validation: Subset, path: NDArray[np.float64], objectives: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared error and Pearson correlation on some rows, from statistics alone.

    Args:
        validation: the rows to score on.
        path: (a, c, m) weights; NaN gives NaN.
        objectives: indices of the c objectives.

    Returns:
        Two arrays (a, c), NaN where there are no rows or nothing varies.
    """
    shape = path.shape[:2]
    if validation.weight_sum == 0:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    wanted = list(objectives)
    squares = validation.squares(path.reshape(-1, validation.width)).reshape(shape)  # of predictions
    products = np.einsum("acm,mc->ac", path, validation.xy[:, wanted])
    predicted = path @ validation.x  # (a, c)
    y, yy, total = validation.y[wanted], validation.yy[wanted], validation.weight_sum
    errors = np.maximum(squares - 2.0 * products + yy, 0.0) / total
    covariance = products - predicted * y / total
    spread: NDArray[Any] = (squares - predicted**2 / total) * (yy - y**2 / total)
    varies = spread > 1e-12 * np.maximum(squares * yy, 1e-300)
    correlations = np.full(shape, np.nan)
    correlations[varies] = covariance[varies] / np.sqrt(spread[varies])
    return errors, correlations
