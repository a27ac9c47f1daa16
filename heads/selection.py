"""Choosing each objective's penalty, and the final heads."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from cache.progress import Progress, silent
from heads.cholesky import Factor
from heads.cross_validation import generalised_errors
from heads.ridge_system import RidgeSystem, scores_of
from heads.settings import HeadSettings
from heads.statistics import GramStatistics
from heads.subset import HELD_OUT, TRAIN, VALIDATION, Scope
from heads.uncertainty import Uncertainty, packed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FittedObjective:
    """One head and how it was chosen."""

    name: str
    weight: NDArray[np.float64]
    """(m,), refitted on training and validation rows with the chosen penalty."""
    alpha: float
    rows: int
    """Rated rows, training and validation together."""
    validation_rows: int
    validation_mse: float
    """Of the head fitted on the training rows alone."""
    pearson: float
    """The same head's correlation with the validation ratings; NaN where either is constant."""
    validation_path: tuple[float, ...]
    """Validation error for each penalty of the recipe."""
    at_edge: bool
    """The chosen penalty is the first or last of several: a wider range may do better."""
    degrees_of_freedom: float
    """Effective ones of the fit to the training rows."""
    condition: float
    """Of the equations that were solved for the training rows."""
    constant: bool
    """Whether all its ratings are the same: the head then says nothing."""


@dataclass(frozen=True, slots=True)
class FittedHeads:
    """All objectives that could be fitted."""

    objectives: tuple[FittedObjective, ...]
    skipped: dict[str, str]
    """Name -> reason of those left out."""
    uncertainty: Uncertainty | None
    """Without thresholds; None where it was not asked for."""


def fit_heads(
    statistics: GramStatistics, settings: HeadSettings, *, skip_unfit: bool, progress: Progress = silent
) -> FittedHeads:
    """Fit every objective.

    Args:
        statistics: of training and validation rows.
        settings: penalties to choose from, weights, and what else to find out.
        skip_unfit: leave out objectives with too few rows, instead of refusing.
        progress: told the number of objectives done.

    Raises:
        UserError: an objective has too few rows, or all have, or no penalty is large enough for one.
    """
    unfit = _refuse_or_skip(statistics, settings, skip_unfit)
    fitted: dict[int, FittedObjective] = {}
    factors: list[tuple[list[int], NDArray[np.float32]]] = []
    both = scope_of(settings, TRAIN, VALIDATION)
    wanted = [number for number, name in enumerate(statistics.objectives) if name not in unfit]
    by_weight: dict[float, list[int]] = {}
    for number in wanted:
        by_weight.setdefault(settings.objective_weights.get(statistics.objectives[number], 1.0), []).append(number)
    for weight, alike in by_weight.items():
        for together in statistics.sharing(both, alike):
            fit = _Fit(statistics, settings, together, weight)
            fitted |= dict(zip(together, fit.fitted(), strict=True))
            if settings.uncertainty:
                factors += fit.factors()
            progress("fitting heads", len(fitted), len(wanted), "objectives")
    numbers = sorted(fitted)
    uncertainty = _uncertainty(factors, numbers, fitted, settings) if settings.uncertainty else None
    return FittedHeads(tuple(fitted[number] for number in numbers), unfit, uncertainty)


def fit_objectives(
    statistics: GramStatistics, settings: HeadSettings, *, skip_unfit: bool
) -> tuple[list[FittedObjective], dict[str, str]]:
    """The objectives of `fit_heads`, and name -> reason of those left out, without uncertainty."""
    heads = fit_heads(statistics, settings.model_copy(update={"uncertainty": False}), skip_unfit=skip_unfit)
    return list(heads.objectives), heads.skipped


def scope_of(settings: HeadSettings, *splits: str) -> Scope:
    """The rows and columns that the settings ask for."""
    return Scope(tuple(splits), layer=settings.layer, weights=settings.dataset_weights)


def validation_scores(
    statistics: GramStatistics,
    paths: NDArray[np.float64],
    scope: Scope = HELD_OUT,
    objectives: Sequence[int] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared error and Pearson correlation of heads on the rows in scope, from statistics alone.

    Args:
        statistics: hold the rows.
        paths: (a, k, m) heads; those that are NaN get NaN.
        scope: which rows to score on, and the layer that the heads read.
        objectives: which to score; None: all.

    Returns:
        Two arrays (a, k), NaN where there are no rows or nothing varies.
    """
    errors = np.full(paths.shape[:2], np.nan)
    correlations = np.full(paths.shape[:2], np.nan)
    for together in statistics.sharing(scope, objectives):
        held_out = statistics.subset(together[0], scope)
        errors[:, together], correlations[:, together] = scores_of(held_out, paths[:, together], together)
    return errors, correlations


class _Fit:
    """Objectives that the same rows rate, with the same weight."""

    def __init__(
        self, statistics: GramStatistics, settings: HeadSettings, objectives: Sequence[int], weight: float
    ) -> None:
        self._names = statistics.objectives
        self._settings = settings
        self._objectives = list(objectives)
        self._weight = weight  # of the objectives' squared errors, so that their penalties count 1 / weight
        first = self._objectives[0]
        self._learned = statistics.subset(first, scope_of(settings, TRAIN))
        self._held_out = statistics.subset(first, scope_of(settings, VALIDATION))
        self._both = statistics.subset(first, scope_of(settings, TRAIN, VALIDATION))
        self._system = RidgeSystem.of(self._learned, self._objectives)
        self._alphas = np.asarray(sorted(settings.alphas))
        self._errors, self._pearsons = self._scored(self._alphas)
        chosen_by = self._errors if settings.choose == "validation" else self._generalised(self._alphas)
        for name, errors in zip((self._names[number] for number in self._objectives), chosen_by.T, strict=True):
            if np.isnan(errors).all():
                raise UserError(
                    f"the objective {name} cannot be fitted with these penalties: add larger ones to heads.alphas"
                )
        self._best = np.argmin(np.where(np.isnan(chosen_by), np.inf, chosen_by), axis=0)  # (c,)
        self._chosen = self._alphas[self._best]  # (c,)
        if settings.continuous and len(self._alphas) > 1:
            self._chosen = self._between()

    def fitted(self) -> list[FittedObjective]:
        """The heads, refitted on all rows."""
        distinct, which = np.unique(self._chosen, return_inverse=True)
        column = np.arange(len(self._objectives))
        errors, pearsons = (
            (self._errors[self._best, column], self._pearsons[self._best, column])
            if not self._settings.continuous
            else (scores[which, column] for scores in self._scored(distinct))
        )
        fits = [self._system.fit_of(float(alpha) / self._weight) for alpha in distinct]
        final = self._on_all_rows(distinct)  # (alphas, c, m)
        edges = (0, len(self._alphas) - 1) if len(self._alphas) > 1 else ()
        return [
            FittedObjective(
                name=self._names[number],
                weight=self._finite(final[which[at], at], self._names[number]),
                alpha=float(self._chosen[at]),
                rows=self._both.n,
                validation_rows=self._held_out.n,
                validation_mse=float(errors[at]),
                pearson=float(pearsons[at]),
                validation_path=tuple(map(float, self._errors[:, at])),
                at_edge=int(self._best[at]) in edges,
                degrees_of_freedom=fits[which[at]][0],
                condition=fits[which[at]][1],
                constant=self._is_constant(number),
            )
            for at, number in enumerate(self._objectives)
        ]

    def factors(self) -> list[tuple[list[int], NDArray[np.float32]]]:
        """Objectives, and the packed Cholesky factor of their training rows with their penalty."""
        xx = self._learned.xx()
        found = []
        for alpha in np.unique(self._chosen):
            factor = Factor.of(xx, float(alpha) / self._weight)
            if factor is not None:
                numbers = [self._objectives[at] for at in np.flatnonzero(self._chosen == alpha)]
                found.append((numbers, packed(factor.lower)))
        return found

    def _scored(self, alphas: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        path = self._system.path(alphas / self._weight)
        return scores_of(self._held_out, path, self._objectives)

    def _generalised(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        penalties = alphas / self._weight
        path = self._system.path(penalties)
        return generalised_errors(self._learned, self._system, path, self._objectives, penalties)

    def _between(self) -> NDArray[np.float64]:
        """Each objective's best penalty between the neighbours of the grid's best. Shape (c,).

        A finer grid, then the lowest point of a parabola in log alpha through its best three.
        """
        judge = self._generalised if self._settings.choose == "gcv" else lambda alphas: self._scored(alphas)[0]
        logs = np.log(self._alphas)
        last = len(logs) - 1
        fine = np.unique(
            [np.linspace(logs[max(at - 1, 0)], logs[min(at + 1, last)], BETWEEN) for at in np.unique(self._best)]
        )  # (points,)
        errors = judge(np.exp(fine))  # (points, c)
        chosen = np.empty(len(self._objectives))
        for at, best in enumerate(np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)):
            chosen[at] = fine[best]
            if 0 < best < len(fine) - 1 and np.isfinite(errors[best - 1 : best + 2, at]).all():
                curve = np.polyfit(fine[best - 1 : best + 2] - fine[best], errors[best - 1 : best + 2, at], 2)
                if curve[0] > 0:
                    chosen[at] += np.clip(-curve[1] / (2 * curve[0]), *(fine[[best - 1, best + 1]] - fine[best]))
        return np.exp(chosen)

    def _on_all_rows(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights from training and validation rows for some penalties. Shape (alphas, c, m)."""
        xx = None
        if self._system.rows is None:  # the training rows' matrix is there already
            xx = self._held_out.xx(add_to=self._system.matrix)
        return RidgeSystem.of(self._both, self._objectives, xx=xx).path(alphas / self._weight)

    def _is_constant(self, objective: int) -> bool:
        n, y, yy = self._both.mass, self._both.y[objective], self._both.yy[objective]
        return bool(yy - y * y / n <= 1e-12 * max(yy, 1e-300))

    def _finite(self, weight: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        if np.isnan(weight).any():
            raise UserError(
                f"the objective {name} cannot be fitted with these penalties: add larger ones to heads.alphas"
            )
        return weight


BETWEEN = 9
"""Points of the finer grid between the neighbours of the grid's best penalty."""


def _uncertainty(
    factors: list[tuple[list[int], NDArray[np.float32]]],
    numbers: list[int],
    fitted: dict[int, FittedObjective],
    settings: HeadSettings,
) -> Uncertainty | None:
    factor_of = {number: at for at, (together, _) in enumerate(factors) for number in together}
    if any(number not in factor_of for number in numbers):
        log.warning("no standard errors: a penalty is too small for the precision of the sums")
        return None
    return Uncertainty(
        factors=np.stack([factor for _, factor in factors]),
        factor_of=np.array([factor_of[number] for number in numbers]),
        noise=np.array([fitted[number].validation_mse for number in numbers]),
        thresholds=np.full(len(factors), np.inf),
        quantile=settings.familiar_quantile,
    )


def _refuse_or_skip(statistics: GramStatistics, settings: HeadSettings, skip_unfit: bool) -> dict[str, str]:
    unfit = {
        name: reason
        for number, name in enumerate(statistics.objectives)
        if (reason := _unfit(statistics, settings, number))
    }
    if unfit and (not skip_unfit or len(unfit) == len(statistics.objectives)):
        name, reason = next(iter(unfit.items()))
        held_out = " raise split.validation," if "no rated validation row" in reason else ""
        raise UserError(
            f"the objective {name} cannot be fitted: it has {reason}; add a rating set that rates it,"
            f"{held_out} or take it out of the recipe's objectives"
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
