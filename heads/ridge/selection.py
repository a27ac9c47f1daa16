"""All objectives of some statistics: their selected alphas and final heads."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from cache.progress import Progress, silent
from heads.ridge.error_covariance import shared_rows
from heads.ridge.objective_fit import FittedObjective, ObjectiveFit
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import HELD_OUT, TRAIN, VALIDATION, Scope, scope_of
from heads.ridge.symmetric import Real
from heads.ridge.system import scores_of
from heads.ridge.training_factors import TrainingFactors, of_all_rows
from heads.settings import HeadSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FittedHeads:
    """The heads of all objectives that could be fitted."""

    objectives: tuple[FittedObjective, ...]
    skipped: dict[str, str]
    """Objective that was not fitted -> reason."""
    factors: TrainingFactors | None
    """The factors of the uncertainty, before validation rows calibrate it; None if the settings turn it off."""
    layer: int | None
    """Index of the layer that the heads read; None: all layers."""

    def weight(self, layers: int) -> NDArray[np.float32]:
        """All heads over the features of all layers, 0 for layers that they do not read. Shape (k, layers * d)."""
        return self._widened([head.weight for head in self.objectives], layers)

    def train_weight(self, layers: int) -> NDArray[np.float32]:
        """The heads of the training rows alone, in the same form. Shape (k, layers * d)."""
        return self._widened([head.train_weight for head in self.objectives], layers)

    def _widened(self, weights: Sequence[NDArray[np.float64]], layers: int) -> NDArray[np.float32]:
        narrow = np.stack(weights)  # (k, m)
        hidden = narrow.shape[-1] // (layers if self.layer is None else 1)
        columns = slice(None) if self.layer is None else slice(self.layer * hidden, (self.layer + 1) * hidden)
        wide = np.zeros((len(narrow), layers * hidden), dtype=np.float32)
        wide[:, columns] = narrow
        return wide


def fit_heads(
    statistics: GramStatistics, settings: HeadSettings, *, skip_unfit: bool, progress: Progress = silent
) -> FittedHeads:
    """Fit every objective.

    Args:
        statistics: of training and validation rows.
        settings: alphas to choose from, weights of data sets and objectives, layer, and whether to keep the factors of
            the uncertainty.
        skip_unfit: whether to skip objectives with too few rows; otherwise they are an error.
        progress: called with the number of objectives done.

    Raises:
        UserError: an objective has too few rows and is not skipped, all have too few, or all alphas are too small.
    """
    unfit = _refuse_or_skip(statistics, settings, skip_unfit)
    fitted: dict[int, FittedObjective] = {}
    factors: list[tuple[list[int], NDArray[np.float32]]] = []
    width = _width(statistics, settings) if settings.uncertainty else 0
    moments = np.zeros((width, width), dtype=np.float32)  # (m, m)
    both = scope_of(settings, TRAIN, VALIDATION)
    wanted = [number for number, name in enumerate(statistics.objectives) if name not in unfit]
    by_weight: dict[float, list[int]] = {}
    for number in wanted:
        by_weight.setdefault(settings.objective_weights.get(statistics.objectives[number], 1.0), []).append(number)
    memory: Real | None = None
    for weight, alike in by_weight.items():
        for together in statistics.sharing(both, alike):
            fit = ObjectiveFit(statistics, settings, together, weight, memory)
            fitted |= dict(zip(together, fit.fitted(), strict=True))
            if settings.uncertainty:
                factors += fit.factors(moments)
            memory = fit.memory if fit.memory is not None else memory
            progress("fitting heads", len(fitted), len(wanted), "objectives")
    numbers = sorted(fitted)
    heads = tuple(fitted[number] for number in numbers)
    kept = _training_factors(factors, moments, numbers, heads, settings, statistics) if settings.uncertainty else None
    return FittedHeads(heads, unfit, kept, settings.layer)


def validation_scores(
    statistics: GramStatistics,
    paths: NDArray[np.float64],
    scope: Scope = HELD_OUT,
    objectives: Sequence[int] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared error and Pearson correlation of heads on the rows in scope, from statistics alone.

    Args:
        statistics: hold the rows.
        paths: (a, k, m) heads; NaN gives NaN.
        scope: rows to score on, and the layer that the heads read.
        objectives: indices of the objectives to score; None: all.

    Returns:
        Two arrays (a, k), NaN where there are no rows or nothing varies.
    """
    errors = np.full(paths.shape[:2], np.nan)
    correlations = np.full(paths.shape[:2], np.nan)
    for together in statistics.sharing(scope, objectives):
        validation = statistics.subset(together[0], scope)
        errors[:, together], correlations[:, together] = scores_of(validation, paths[:, together], together)
    return errors, correlations


def _width(statistics: GramStatistics, settings: HeadSettings) -> int:
    """Number of columns that the heads read."""
    return statistics.width if settings.layer is None else statistics.width // statistics.layers


def _training_factors(
    factors: list[tuple[list[int], NDArray[np.float32]]],
    moments: Real,
    numbers: list[int],
    heads: tuple[FittedObjective, ...],
    settings: HeadSettings,
    statistics: GramStatistics,
) -> TrainingFactors | None:
    factor_of = {number: at for at, (together, _) in enumerate(factors) for number in together}
    if any(number not in factor_of for number in numbers):
        log.warning("no standard errors: an alpha is too small for the precision of the sums")
        return None
    return TrainingFactors(
        factors=tuple(factor for _, factor in factors),
        all_rows=of_all_rows(moments),
        factor_of=np.array([factor_of[number] for number in numbers]),
        noise=np.array([head.validation_mse for head in heads]),
        weight=np.stack([head.train_weight for head in heads]),
        shared=shared_rows(statistics, numbers, scope_of(settings, TRAIN)),
        quantile=settings.familiar_quantile,
        first_column=(settings.layer or 0) * (statistics.width // statistics.layers),
    )


def _refuse_or_skip(statistics: GramStatistics, settings: HeadSettings, skip_unfit: bool) -> dict[str, str]:
    unfit = {
        name: reason
        for number, name in enumerate(statistics.objectives)
        if (reason := _unfit(statistics, settings, number))
    }
    if unfit and (not skip_unfit or len(unfit) == len(statistics.objectives)):
        name, reason = next(iter(unfit.items()))
        more_rows = " raise split.validation," if "no rated validation row" in reason else ""
        raise UserError(
            f"the objective {name} cannot be fitted: it has {reason}; add a rating set that rates it,"
            f"{more_rows} or take it out of the recipe's objectives"
        )
    return unfit


def _unfit(statistics: GramStatistics, settings: HeadSettings, objective: int) -> str | None:
    train = statistics.rows_rating(objective, scope_of(settings, TRAIN))
    validation = statistics.rows_rating(objective, scope_of(settings, VALIDATION))
    if train < settings.minimum_rows:
        return f"{train} rated training rows, fewer than heads.minimum_rows = {settings.minimum_rows}"
    if validation == 0:
        return f"no rated validation row beside its {train} training rows"
    return None
