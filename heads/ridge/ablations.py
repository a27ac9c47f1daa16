"""Ablations of the ridge heads from a run's statistics: what data sets, rows, layers and objectives are worth.

A variant changes what a head may learn from, fits it again and scores it on the same validation rows. All of
it comes from the sums that `armorm fit-heads` saved: no feature is read. A head depends on the rows that rate
its objective alone, so a variant solves for those objectives whose rows it changes, and for no other.

A variant chooses among the run's penalty and its two neighbours on the grid: the best penalty is a ratio of noise
to signal, which fewer or other rows hardly move.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heads.ridge.estimator import ridge_paths
from heads.ridge.objective_fit import scope_of
from heads.ridge.selection import validation_scores
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import TRAIN, VALIDATION, GroupKey, Scope
from heads.settings import HeadSettings

RECOMBINATION_PENALTIES = tuple(10.0**power for power in range(-6, 1))
"""Of an objective's ratings on the other objectives' rewards, in units of a reward's variance."""


@dataclass(frozen=True, slots=True)
class Score:
    """A head on the validation rows."""

    rows: int
    """Training rows it was fitted on."""
    alpha: float
    mse: float
    pearson: float
    """NaN where the predictions or the ratings do not vary."""


@dataclass(frozen=True, slots=True)
class WithoutDataset:
    """What the heads are without a data set's training rows."""

    scores: dict[str, Score]
    """Objectives whose training rows became fewer; all others have the heads they had."""
    lost: dict[str, int]
    """Objectives that too few training rows are left for, and how many."""


@dataclass(frozen=True, slots=True)
class FromOthers:
    """An objective's ratings predicted by the heads of all others, best combined."""

    mse: float
    pearson: float
    weights: dict[str, float]
    """Other objectives, the strongest first: the weight of its reward, in standard deviations of both."""


class RidgeAblations:
    """Variants of a run's heads.

    Args:
        statistics: of the run.
        chosen: objective -> penalty that the run chose; objectives it did not fit are left out.
        settings: of the run's heads.
    """

    def __init__(self, statistics: GramStatistics, chosen: Mapping[str, float], settings: HeadSettings) -> None:
        self.statistics = statistics
        self.chosen = dict(chosen)
        self.settings = settings
        self.learned, self.held_out = scope_of(settings, TRAIN), scope_of(settings, VALIDATION)
        self._numbers = {name: statistics.objectives.index(name) for name in chosen}
        self._among_rewards: dict[frozenset[GroupKey], tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    @property
    def datasets(self) -> list[str]:
        """Data sets with training rows."""
        return sorted({key.dataset for key in self.statistics.groups if self.learned.contains(key)})

    @property
    def groups(self) -> list[list[str]]:
        """Fitted objectives in lists of those that the same training rows rate."""
        names = {number: name for name, number in self._numbers.items()}
        return [[names[number] for number in together] for together in self.statistics.sharing(self.learned, names)]

    def train_rows(self, objective: str, scope: Scope | None = None) -> int:
        """Training rows that rate an objective; by default all of them."""
        return self.statistics.rows_rating(self._numbers[objective], scope or self.learned)

    def fit(self, scope: Scope, objectives: Iterable[str]) -> dict[str, Score]:
        """Heads of some objectives from the rows in scope, the best of the run's penalty and its neighbours."""
        by_weight: dict[float, list[str]] = {}
        for name in objectives:
            by_weight.setdefault(self._weight_of(name), []).append(name)
        scores: dict[str, Score] = {}
        for weight, names in by_weight.items():
            scores |= self._fit_alike(scope, names, weight)
        return scores

    def _fit_alike(self, scope: Scope, names: Sequence[str], weight: float) -> dict[str, Score]:
        numbers = [self._numbers[name] for name in names]
        penalties = self._nearby(names)  # (p,)
        paths = ridge_paths(self.statistics, scope, penalties / weight, numbers)  # (p, k, m)
        held_out = replace(self.held_out, layer=scope.layer)
        errors, correlations = validation_scores(self.statistics, paths, held_out, numbers)  # (p, k) each
        best = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)  # (k,)
        return {
            name: Score(
                rows=self.train_rows(name, scope),
                alpha=float(penalties[best[number]]),
                mse=float(errors[best[number], number]),
                pearson=float(correlations[best[number], number]),
            )
            for name, number in zip(names, numbers, strict=True)
        }

    def without_dataset(self, dataset: str) -> WithoutDataset:
        """Leave out a data set's training rows; its validation rows stay, so that scores can be compared."""
        scope = replace(self.learned, datasets=frozenset(self.datasets) - {dataset})
        fewer = [
            name
            for name, number in self._numbers.items()
            if self.statistics.keys(number, scope) != self.statistics.keys(number, self.learned)
        ]
        left = {name: self.train_rows(name, scope) for name in fewer}
        lost = {name: rows for name, rows in left.items() if rows < self.settings.minimum_rows}
        return WithoutDataset(self.fit(scope, (name for name in fewer if name not in lost)), lost)

    def at_fraction(self, share: float, objectives: Iterable[str]) -> dict[str, Score]:
        """Learn from a share of the training rows; objectives that too few are left for are left out."""
        scope = replace(self.learned, fraction=share)
        enough = [name for name in objectives if self.train_rows(name, scope) >= self.settings.minimum_rows]
        return self.fit(scope, enough)

    def at_layer(self, layer: int, objectives: Iterable[str]) -> dict[str, Score]:
        """Read one layer, by its place among the stored ones."""
        return self.fit(replace(self.learned, layer=layer), objectives)

    def from_others(self, objective: str) -> FromOthers:
        """Leave out an objective: what the heads of the others, best combined, still know of its ratings.

        The other heads do not change when an objective is left out, so this is what would be lost with it. Its
        ratings are regressed on the others' rewards, with a constant, over the training rows that rate it.

        Raises:
            ValueError: there is no other objective.
        """
        names = [name for name in self._numbers if name != objective]
        if not names:
            raise ValueError(f"there is no objective beside {objective}")
        place = list(self._numbers).index(objective)
        others = np.delete(np.arange(len(self._numbers)), place)
        learned, held_out = (self._moments(objective, scope) for scope in (self.learned, self.held_out))
        covariance, cross = learned.covariance[np.ix_(others, others)], learned.cross[others]
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-300))  # (k - 1,)
        unit = covariance / np.outer(spread, spread)
        best = FromOthers(np.inf, np.nan, {})
        for penalty in RECOMBINATION_PENALTIES:
            weights = np.linalg.solve(unit + penalty * np.eye(len(others)), cross / spread) / spread  # (k - 1,)
            shift = learned.target_mean + weights @ (held_out.mean - learned.mean)[others] - held_out.target_mean
            explained = weights @ held_out.cross[others]
            variance = weights @ held_out.covariance[np.ix_(others, others)] @ weights
            mse = float(variance - 2.0 * explained + held_out.variance + shift**2)
            if mse < best.mse:
                both = variance * held_out.variance
                relative = weights * spread / np.sqrt(max(learned.variance, 1e-300))
                best = FromOthers(
                    mse=max(mse, 0.0),
                    pearson=float(explained / np.sqrt(both)) if both > 0 else np.nan,
                    weights={names[place]: float(relative[place]) for place in np.argsort(-np.abs(relative))},
                )
        return best

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Heads fitted on the training rows alone, with the run's penalties. Shape (fitted, m)."""
        effective = {name: alpha / self._weight_of(name) for name, alpha in self.chosen.items()}
        weights: dict[str, NDArray[np.float64]] = {}
        for group in self.groups:
            penalties, which = np.unique([effective[name] for name in group], return_inverse=True)
            numbers = [self._numbers[name] for name in group]
            paths = ridge_paths(self.statistics, self.learned, penalties, numbers)  # (p, k, m)
            weights |= {name: paths[at, number] for name, at, number in zip(group, which, numbers, strict=True)}
        return np.stack([weights[name] for name in self._numbers])

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
        """The penalties that the run chose for some objectives, and the grid's next ones to each side.

        Only its own where the run chose without looking at validation errors.
        """
        chosen = np.array([self.chosen[name] for name in names])
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
    """Of rewards (k,) and of one target."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    cross: NDArray[np.float64]
    """(k,) covariance of each reward with the target."""
    target_mean: float
    variance: float
