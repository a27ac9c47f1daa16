"""Masked ridge regression: one linear head per objective, on the rows that rate it.

min_w ||X w - y||² + alpha ||w||² over the rated rows, without intercept: scikit-learn's `Ridge` with
`fit_intercept=False`, for all objectives at once and from sums instead of rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from heads.statistics import GramStatistics
from heads.subset import Scope


class MaskedRidge(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression of several targets, each on the rows where it is not NaN.

    Args:
        alpha: penalty; one for all targets, or one a target.

    Attributes:
        coef_: (k, d) float64; a target that no row rates has NaN.
    """

    def __init__(self, alpha: float | Sequence[float] = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: ArrayLike, Y: ArrayLike) -> "MaskedRidge":
        """Fit from arrays: X (n, d) float32 or float64, Y (n, k), NaN where not rated.

        Raises:
            ValueError: X is not finite, or the lengths differ.
        """
        features: NDArray[np.floating[Any]] = check_array(X, dtype=[np.float64, np.float32])
        targets: NDArray[np.float64] = check_array(Y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_consistent_length(features, targets)
        statistics = GramStatistics(tuple(f"y{target}" for target in range(targets.shape[1])), features.shape[1])
        statistics.add("", "train", features, targets)
        return self.fit_statistics(statistics, Scope())

    def fit_statistics(self, statistics: GramStatistics, scope: Scope) -> "MaskedRidge":
        """Fit from sums: the rows in scope."""
        alphas = np.broadcast_to(np.asarray(self.alpha, dtype=np.float64), len(statistics.objectives))  # (k,)
        paths = ridge_paths(statistics, scope, np.unique(alphas))  # (a, k, d)
        which = np.searchsorted(np.unique(alphas), alphas)  # (k,)
        self.coef_ = paths[which, np.arange(len(alphas))]
        self.n_features_in_ = statistics.width
        return self

    def score(self, X: ArrayLike, Y: ArrayLike, sample_weight: None = None) -> float:  # noqa: ARG002 - sklearn's
        """Mean R² over the targets, each on the rows where it is not NaN."""
        targets = np.asarray(Y, dtype=np.float64)
        residual = targets - self.predict(X)  # (n, k)
        spread = targets - np.nanmean(targets, axis=0)
        return float(np.mean(1.0 - np.nansum(residual**2, axis=0) / np.nansum(spread**2, axis=0)))

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predicted targets. Shape (n, k)."""
        check_is_fitted(self)
        predicted: NDArray[np.float64] = check_array(X, dtype=[np.float64, np.float32]) @ self.coef_.T
        return predicted


def ridge_paths(
    statistics: GramStatistics,
    scope: Scope,
    alphas: Sequence[float] | NDArray[np.float64],
    objectives: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Heads of every objective for every penalty, from the rows in scope.

    Objectives rated by the same rows share all work.

    Args:
        statistics: hold the rows.
        scope: which rows and which layer.
        alphas: penalties, (a,).
        objectives: which to solve for; None: all.

    Returns:
        (a, k, m) float64 for m columns in scope, NaN for an objective that no row rates or that was not asked for,
        and for a penalty too small to make the system positive definite.
    """
    alphas = np.asarray(alphas, dtype=np.float64)
    width = statistics.width if scope.layer is None else statistics.width // statistics.layers
    paths = np.full((len(alphas), len(statistics.objectives), width), np.nan)
    for together in statistics.sharing(scope, objectives):
        subset = statistics.subset(together[0], scope)
        xx = subset.xx()  # (m, m)
        for number, alpha in enumerate(alphas):
            penalised = xx.copy()
            penalised[np.diag_indices(len(xx))] += alpha
            try:
                factor = cho_factor(penalised, lower=True, overwrite_a=True)
            except LinAlgError:  # rounding of the sums outweighs so small a penalty
                continue
            paths[number, together] = cho_solve(factor, subset.xy[:, together]).T  # (objectives, m)
    return paths
