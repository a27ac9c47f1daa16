"""Choosing each objective's penalty on the validation rows, and the final heads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from heads.ridge import MaskedRidge, ridge_paths
from heads.settings import HeadSettings
from heads.statistics import GramStatistics
from heads.subset import BOTH, HELD_OUT, LEARNED, Scope


@dataclass(frozen=True, slots=True)
class FittedObjective:
    """One head and how it was chosen."""

    name: str
    weight: NDArray[np.float64]
    """(d,), refitted on training and validation rows with the chosen penalty."""
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


def fit_objectives(
    statistics: GramStatistics, settings: HeadSettings, *, skip_unfit: bool
) -> tuple[list[FittedObjective], dict[str, str]]:
    """Fit every objective.

    Args:
        statistics: of training and validation rows.
        settings: penalties to choose from.
        skip_unfit: leave out objectives with too few rows, instead of refusing.

    Returns:
        The fitted objectives, and name -> reason of those left out.

    Raises:
        UserError: an objective has too few rows, or all have.
    """
    alphas = np.asarray(sorted(settings.alphas))
    unfit = {
        name: reason
        for number, name in enumerate(statistics.objectives)
        if (reason := _unfit(statistics, number, settings.minimum_rows))
    }
    if unfit and (not skip_unfit or len(unfit) == len(statistics.objectives)):
        name, reason = next(iter(unfit.items()))
        held_out = " raise split.validation," if "no rated validation row" in reason else ""
        raise UserError(
            f"the objective {name} cannot be fitted: it has {reason}; add a rating set that rates it,"
            f"{held_out} or take it out of the recipe's objectives"
        )
    paths = ridge_paths(statistics, LEARNED, alphas)  # (a, k, d)
    errors, correlations = validation_scores(statistics, paths)  # (a, k) each
    fit = [number for number, name in enumerate(statistics.objectives) if name not in unfit]
    best = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)  # (k,)
    final = MaskedRidge(alphas[best]).fit_statistics(statistics, BOTH)
    for number in fit:
        if np.isnan(errors[best[number], number]) or np.isnan(final.coef_[number]).any():
            raise UserError(
                f"the objective {statistics.objectives[number]} cannot be fitted with these penalties:"
                " add larger ones to heads.alphas"
            )
    return [
        FittedObjective(
            name=statistics.objectives[number],
            weight=final.coef_[number],
            alpha=float(alphas[best[number]]),
            rows=statistics.subset(number, BOTH).n,
            validation_rows=statistics.subset(number, HELD_OUT).n,
            validation_mse=float(errors[best[number], number]),
            pearson=float(correlations[best[number], number]),
            validation_path=tuple(map(float, errors[:, number])),
            at_edge=len(alphas) > 1 and int(best[number]) in (0, len(alphas) - 1),
        )
        for number in fit
    ], unfit


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
        sums = statistics.subset(together[0], scope)
        heads = paths[:, together]  # (a, objectives, m)
        squares = sums.squares(heads.reshape(-1, sums.width)).reshape(heads.shape[:2])  # of predictions
        for place, number in enumerate(together):
            products = heads[:, place] @ sums.xy[:, number]  # (a,)
            predicted = heads[:, place] @ sums.x  # (a,)
            square = squares[:, place]
            errors[:, number] = np.maximum(square - 2.0 * products + sums.yy[number], 0.0) / sums.mass
            covariance = products - predicted * sums.y[number] / sums.mass
            spread = (square - predicted**2 / sums.mass) * (sums.yy[number] - sums.y[number] ** 2 / sums.mass)
            varies = spread > 1e-12 * np.maximum(square * sums.yy[number], 1e-300)
            correlations[varies, number] = covariance[varies] / np.sqrt(spread[varies])
    return errors, correlations


def _unfit(statistics: GramStatistics, objective: int, minimum: int) -> str | None:
    train = statistics.subset(objective, LEARNED).n
    validation = statistics.subset(objective, HELD_OUT).n
    if train < minimum:
        return f"{train} rated training rows, fewer than heads.minimum_rows = {minimum}"
    if validation == 0:
        return f"no rated validation row beside its {train} training rows"
    return None
