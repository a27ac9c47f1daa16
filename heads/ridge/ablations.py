"""Ablations of the ridge heads from saved statistics: the worth of data sets, rows, layers and objectives.

A variant changes the training rows or columns of a head, fits it again and scores it on the same validation rows.
Everything follows from saved sums; no feature is read. A head depends only on the rows that rate its objective, so a
variant solves only for the objectives whose rows it changes.

A variant selects among the fit's alpha and its two neighbours on the grid: the best alpha is a ratio of noise to
signal, which fewer or other rows hardly move.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heads.ablation_results import FromOthers, Score, WithoutDataset
from heads.ridge.estimator import ridge_paths, train_only_heads
from heads.ridge.selection import validation_scores
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import TRAIN, VALIDATION, GroupKey, Scope, scope_of
from heads.settings import HeadSettings

RECOMBINATION_ALPHAS = tuple(10.0**power for power in range(-6, 1))
"""Penalties of the regression of one objective's ratings on the others' rewards, in units of a reward's variance."""


class RidgeAblations:
    """Variants of fitted heads.

    Args:
        statistics: hold the rows of the fit.
        alphas: objective -> alpha that the fit selected; objectives that it skipped are not named.
        settings: settings of the fit.
    """

    def __init__(self, statistics: GramStatistics, alphas: Mapping[str, float], settings: HeadSettings) -> None:
        self.statistics = statistics
        self.alphas = dict(alphas)
        self.settings = settings
        self.learned, self.validation = scope_of(settings, TRAIN), scope_of(settings, VALIDATION)
        self._numbers = {name: statistics.objectives.index(name) for name in alphas}
        self._among_rewards: dict[frozenset[GroupKey], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets with training rows."""
        return sorted({key.dataset for key in self.statistics.groups if self.learned.contains(key)})

    @property
    def groups(self) -> list[list[str]]:
        """Lists of fitted objectives that are rated by the same training rows."""
        names = {number: name for name, number in self._numbers.items()}
        return [[names[number] for number in together] for together in self.statistics.sharing(self.learned, names)]

    def train_rows(self, objective: str, scope: Scope | None = None) -> int:
        """Number of training rows in scope that rate an objective; None: all training rows."""
        return self.statistics.rows_rating(self._numbers[objective], scope or self.learned)

    def fit(self, scope: Scope, objectives: Iterable[str]) -> dict[str, Score]:
        """Scores of heads fitted on the rows in scope, each with the best of the fit's alpha and its neighbours."""
        by_weight: dict[float, list[str]] = {}
        for name in objectives:
            by_weight.setdefault(self._weight_of(name), []).append(name)
        scores: dict[str, Score] = {}
        for weight, names in by_weight.items():
            scores |= self._fit_with_weight(scope, names, weight)
        return scores

    def _fit_with_weight(self, scope: Scope, names: Sequence[str], weight: float) -> dict[str, Score]:
        numbers = [self._numbers[name] for name in names]
        alphas = self._nearby(names)  # (a,)
        paths = ridge_paths(self.statistics, scope, alphas / weight, numbers)  # (a, k, m)
        validation = replace(self.validation, layer=scope.layer)
        errors, correlations = validation_scores(self.statistics, paths, validation, numbers)  # (a, k) each
        best = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)  # (k,)
        return {
            name: Score(
                rows=self.train_rows(name, scope),
                alpha=float(alphas[best[number]]),
                mse=float(errors[best[number], number]),
                pearson=float(correlations[best[number], number]),
            )
            for name, number in zip(names, numbers, strict=True)
        }

    def without_dataset(self, dataset: str) -> WithoutDataset:
        """Heads without a data set's training rows; its validation rows stay, so that scores can be compared."""
        scope = replace(self.learned, datasets=frozenset(self.datasets) - {dataset})
        fewer = [
            name
            for name, number in self._numbers.items()
            if self.statistics.keys(number, scope) != self.statistics.keys(number, self.learned)
        ]
        left = {name: self.train_rows(name, scope) for name in fewer}
        skipped = {name: rows for name, rows in left.items() if rows < self.settings.minimum_rows}
        return WithoutDataset(skipped, self.fit(scope, (name for name in fewer if name not in skipped)))

    def at_fraction(self, fraction: float, objectives: Iterable[str]) -> dict[str, Score]:
        """Heads fitted on a fraction of the training rows; objectives with too few rows left are skipped."""
        scope = replace(self.learned, fraction=fraction)
        enough = [name for name in objectives if self.train_rows(name, scope) >= self.settings.minimum_rows]
        return self.fit(scope, enough)

    def at_layer(self, layer: int, objectives: Iterable[str]) -> dict[str, Score]:
        """Heads that read one layer, given by its index among the stored layers."""
        return self.fit(replace(self.learned, layer=layer), objectives)

    def from_others(self, objective: str) -> FromOthers:
        """Metrics of predicting an objective's ratings from the other objectives' heads, best combined.

        The other heads do not depend on this objective, so this shows what a model without it would still know. Its
        ratings are regressed on the others' rewards, with a constant, over the training rows that rate it.

        Raises:
            ValueError: there is no other objective.
        """
        names = [name for name in self._numbers if name != objective]
        if not names:
            raise ValueError(f"{objective} is the only objective")
        place = list(self._numbers).index(objective)
        others = np.delete(np.arange(len(self._numbers)), place)
        learned, validation = (self._moments(objective, scope) for scope in (self.learned, self.validation))
        covariance, cross = learned.covariance[np.ix_(others, others)], learned.cross[others]
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-300))  # (k - 1,)
        unit = covariance / np.outer(spread, spread)
        best, lowest = FromOthers(np.nan, np.nan, {}), np.inf
        for alpha in RECOMBINATION_ALPHAS:
            weights = np.linalg.solve(unit + alpha * np.eye(len(others)), cross / spread) / spread  # (k - 1,)
            shift = learned.target_mean + weights @ (validation.mean - learned.mean)[others] - validation.target_mean
            explained = weights @ validation.cross[others]
            variance = weights @ validation.covariance[np.ix_(others, others)] @ weights
            mse = float(variance - 2.0 * explained + validation.variance + shift**2)
            if mse < lowest:
                lowest = mse
                both = variance * validation.variance
                relative = weights * spread / np.sqrt(max(learned.variance, 1e-300))
                best = FromOthers(
                    mse=max(mse, 0.0),
                    pearson=float(explained / np.sqrt(both)) if both > 0 else np.nan,
                    weights={names[place]: float(relative[place]) for place in np.argsort(-np.abs(relative))},
                )
        return best

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Heads fitted on the training rows alone, with the run's alphas. Shape (fitted, m)."""
        return train_only_heads(self.statistics, self.alphas, self.settings)

    def _moments(self, objective: str, scope: Scope) -> "_Moments":
        """Moments of all rewards and of one objective's targets, over the rows that rate it."""
        number = self._numbers[objective]
        subset = self.statistics.subset(number, scope)
        keys = frozenset(subset.keys)
        if keys not in self._among_rewards:
            self._among_rewards[keys] = self.weight @ subset.xx() @ self.weight.T, self.weight @ subset.xy
        squares, products = self._among_rewards[keys]  # (k, k), (k, targets)
        mean, target_mean = self.weight @ subset.x / subset.weight_sum, subset.y[number] / subset.weight_sum
        return _Moments(
            mean=mean,
            covariance=squares / subset.weight_sum - np.outer(mean, mean),
            cross=products[:, number] / subset.weight_sum - mean * target_mean,
            target_mean=float(target_mean),
            variance=float(subset.yy[number] / subset.weight_sum - target_mean**2),
        )

    def _nearby(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The alphas that the fit selected for some objectives, and their neighbours on the grid.

        Without the neighbours if the fit selected by other means than validation errors.
        """
        chosen = np.array([self.alphas[name] for name in names])
        if self.settings.choose != "validation":
            return np.unique(chosen)
        grid = np.array(sorted(self.settings.alphas))
        below = np.maximum(np.searchsorted(grid, chosen) - 1, 0)
        above = np.minimum(np.searchsorted(grid, chosen, side="right"), len(grid) - 1)
        return np.unique(np.concatenate([chosen, grid[below], grid[above]]))

    def _weight_of(self, name: str) -> float:
        return self.settings.objective_weights.get(name, 1.0)


@dataclass(frozen=True, slots=True)
class _Moments:
    """Moments of k rewards and of one target over the same rows."""

    mean: NDArray[np.float64]
    """(k,)"""
    covariance: NDArray[np.float64]
    """(k, k)"""
    cross: NDArray[np.float64]
    """(k,) covariance of each reward with the target."""
    target_mean: float
    variance: float
