"""Masked ridge regression: one linear head per objective, on the rows that rate it.

min_w ||X w - y||² + alpha ||w||² over the rated rows: scikit-learn's `Ridge`, for all objectives and penalties
at once and from sums instead of rows. Without an intercept unless asked for, as the published heads are.
This is the front door of the ridge: from arrays with `fit`, from saved statistics with `fit_statistics`.
`heads.ridge.plain` is the same in fifteen lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from heads.ridge.layout import Storage
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import LEARNED, TRAIN, Scope, scope_of
from heads.ridge.system import RidgeSystem
from heads.settings import HeadSettings


class MaskedRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression of several targets, each on the rows where it is not NaN.

    Args:
        alpha: penalty; one for all targets, or one for each.
        fit_intercept: whether each target has a constant, which is not penalised.

    Attributes:
        coef_: (k, d) float64, or (d,) if y was (n,); NaN for a target that no row rates.
        intercept_: (k,) float64, or a scalar if y was (n,); 0 without `fit_intercept`.
        n_features_in_: d.
    """

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]

    def __init__(self, alpha: float | Sequence[float] | NDArray[np.float64] = 1.0, fit_intercept: bool = False) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: ArrayLike, y: ArrayLike) -> "MaskedRidge":
        """Fit from arrays: X (n, d) float32 or float64, y (n, k) or (n,), NaN where not rated.

        Raises:
            ValueError: X is not finite, the lengths differ, or a penalty is negative or not a number.
        """
        features: NDArray[np.floating[Any]]
        features, targets = validate_data(
            self,
            X,
            y,
            validate_separately=(
                {"dtype": [np.float64, np.float32]},
                {"dtype": np.float64, "ensure_all_finite": "allow-nan", "ensure_2d": False},
            ),
        )
        if len(features) != len(targets):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {[len(features), len(targets)]}"
            )
        matrix = targets.reshape(len(targets), -1)  # (n, k)
        names = tuple(f"y{target}" for target in range(matrix.shape[1]))
        storage: Storage = "float32" if features.dtype == np.float32 else "float64"
        statistics = GramStatistics(names, features.shape[1], storage=storage)
        statistics.add("", "train", features, matrix)
        self.fit_statistics(statistics, LEARNED)
        if targets.ndim == 1:
            self.coef_, self.intercept_ = np.asarray(self.coef_[0]), self.intercept_[0]
        return self

    def fit_statistics(
        self, statistics: GramStatistics, scope: Scope = LEARNED, objectives: Sequence[int] | None = None
    ) -> "MaskedRidge":
        """Fit from statistics, on the rows in scope.

        Args:
            statistics: hold the rows.
            scope: which rows, and which layer.
            objectives: indices of the targets to fit, the others get NaN; None: all.

        Raises:
            ValueError: a penalty is negative or not a number, or there are neither one nor k of them.
        """
        k = len(statistics.objectives)
        alphas = np.broadcast_to(np.asarray(self.alpha, dtype=np.float64), k)  # (k,)
        if not (alphas >= 0).all():
            raise ValueError(f"alpha = {self.alpha} is not a penalty: it must be 0 or more")
        width = statistics.width_in(scope)
        coefficients, intercepts = np.full((k, width), np.nan), np.full(k, np.nan)
        for together in statistics.sharing(scope, objectives):
            subset = statistics.subset(together[0], scope)
            distinct, which = np.unique(alphas[together], return_inverse=True)
            system = RidgeSystem.of(subset, together, self.fit_intercept)
            path = system.path(distinct)  # (alphas, objectives, m)
            coefficients[together] = path[which, np.arange(len(together))]
            intercepts[together] = system.intercepts(path)[which, np.arange(len(together))]
        self.coef_ = coefficients
        self.intercept_ = intercepts
        self.n_features_in_ = width
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predicted targets. Shape (n, k), or (n,) if y was (n,)."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        predicted: NDArray[np.float64] = features @ self.coef_.T + self.intercept_
        return predicted

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean R² over the targets, each on the rows where it is not NaN."""
        predicted = self.predict(X)
        targets = np.asarray(y, dtype=np.float64).reshape(len(predicted), -1)  # (n, k)
        residual = targets - predicted.reshape(targets.shape)
        weights = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        each = np.where(np.isnan(residual), 0.0, weights[:, None])  # (n, k)
        mean = np.nansum(each * targets, axis=0) / each.sum(axis=0)
        spread = np.nansum(each * (targets - mean) ** 2, axis=0)
        return float(np.mean(1.0 - np.nansum(each * residual**2, axis=0) / spread))

    def __sklearn_tags__(self) -> Any:
        """Targets may be missing."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        return tags


def ridge_paths(
    statistics: GramStatistics,
    scope: Scope,
    alphas: Sequence[float] | NDArray[np.float64],
    objectives: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Heads of every objective for every alpha, fitted on the rows in scope without intercept.

    Objectives that are rated by the same rows are solved together.

    Args:
        statistics: hold the rows.
        scope: which rows and which layer.
        alphas: (a,) penalties.
        objectives: indices of the objectives to solve for; None: all.

    Returns:
        (a, k, m) float64 for m columns in scope; NaN for an objective that no row rates or that was not asked for,
        and for an alpha too small to make the system positive definite.
    """
    grid = np.asarray(alphas, dtype=np.float64)
    paths = np.full((len(grid), len(statistics.objectives), statistics.width_in(scope)), np.nan)
    for together in statistics.sharing(scope, objectives):
        paths[:, together] = RidgeSystem.of(statistics.subset(together[0], scope), together).path(grid)
    return paths


def train_only_heads(
    statistics: GramStatistics, alphas: Mapping[str, float], settings: HeadSettings
) -> NDArray[np.float64]:
    """Heads fitted on the training rows alone, with penalties that were selected already.

    The heads of a run are fitted on the validation rows too, so these are the ones to judge on validation rows.

    Args:
        statistics: hold the rows.
        alphas: objective -> its selected alpha; objectives that are not named get no head.
        settings: rows' weights, objectives' weights and layer.

    Returns:
        (k, m) for the k objectives of `alphas`, in their order, and the m columns that the settings choose.
    """
    numbers = [statistics.objectives.index(name) for name in alphas]
    penalties = np.zeros(len(statistics.objectives))
    penalties[numbers] = [alpha / settings.objective_weights.get(name, 1.0) for name, alpha in alphas.items()]
    ridge = MaskedRidge(penalties).fit_statistics(statistics, scope_of(settings, TRAIN), numbers)
    return ridge.coef_[numbers]
