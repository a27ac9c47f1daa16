"""One fit of the objectives that are rated by the same rows: alphas are selected, heads refitted on all rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from heads.results import ObjectiveHead
from heads.ridge.cholesky import Factor
from heads.ridge.cross_validation import generalised_errors
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import TRAIN, VALIDATION, scope_of
from heads.ridge.symmetric import Real, packed
from heads.ridge.system import RidgeSystem, scores_of
from heads.settings import HeadSettings

BETWEEN = 9
"""Number of points of each finer grid, between the neighbours of the best alpha so far."""

ZOOMS = 2
"""Number of finer grids, each within the one before."""


@dataclass(frozen=True, slots=True)
class FittedObjective:
    """One head, with the metrics of its selection."""

    name: str
    weight: NDArray[np.float64]
    """(m,), refitted on training and validation rows with the selected alpha."""
    train_weight: NDArray[np.float64]
    """(m,), fitted on the training rows alone with the same alpha; validation rows are new to it."""
    alpha: float
    rows: int
    """Number of rated rows, training and validation together."""
    validation_rows: int
    validation_mse: float
    """Error of the head fitted on the training rows alone."""
    pearson: float
    """Correlation of that head's predictions with the validation ratings; NaN where either is constant."""
    validation_path: tuple[float, ...]
    """Validation error for each alpha of the settings, in rising order."""
    at_edge: bool
    """Whether the selected alpha is the first or last of several: a wider range may do better."""
    degrees_of_freedom: float
    """Effective degrees of freedom of the final fit."""
    condition: float
    """Condition number of the final fit's equations."""
    constant: bool
    """Whether all its ratings are the same, so that the head says nothing."""

    def result(self) -> ObjectiveHead:
        """The figures of `heads.json`."""
        return ObjectiveHead(
            rows=self.rows,
            validation_rows=self.validation_rows,
            alpha=self.alpha,
            validation_mse=self.validation_mse,
            pearson=self.pearson,
            validation_path=self.validation_path,
            degrees_of_freedom=self.degrees_of_freedom,
            condition=self.condition,
            constant=self.constant,
        )


class ObjectiveFit:
    """The fit of objectives that have the same rows and the same weight."""

    def __init__(
        self,
        statistics: GramStatistics,
        settings: HeadSettings,
        objectives: Sequence[int],
        weight: float,
        memory: Real | None = None,
    ) -> None:
        self._names = statistics.objectives
        self._settings = settings
        self._objectives = list(objectives)
        self._weight = weight  # of squared errors: the effective penalty is alpha / weight
        first = self._objectives[0]
        self._learned = statistics.subset(first, scope_of(settings, TRAIN))
        self._validation = statistics.subset(first, scope_of(settings, VALIDATION))
        self._both = statistics.subset(first, scope_of(settings, TRAIN, VALIDATION))
        xx = None
        if memory is not None and not self._learned.is_small:
            memory.fill(0.0)
            xx = self._learned.xx(add_to=memory)
        self._system = RidgeSystem.of(self._learned, self._objectives, xx=xx)
        self._alphas = np.asarray(sorted(settings.alphas))
        self._errors, self._pearsons, self._path = self._scored(self._alphas)
        chosen_by = self._errors if settings.choose == "validation" else self._generalised(self._alphas)
        for name, errors in zip((self._names[number] for number in self._objectives), chosen_by.T, strict=True):
            if np.isnan(errors).all():
                raise UserError(
                    f"the objective {name} cannot be fitted with these alphas: add larger ones to heads.alphas"
                )
        self._best = np.argmin(np.where(np.isnan(chosen_by), np.inf, chosen_by), axis=0)  # (c,)
        self._chosen = self._alphas[self._best]  # (c,)
        if settings.continuous and len(self._alphas) > 1:
            self._chosen = self._between()

    @property
    def memory(self) -> Real | None:
        """The matrix of this fit for the next fit to overwrite; allocating a new one costs as much as a product."""
        return self._system.matrix if self._system.rows is None else None

    def fitted(self) -> list[FittedObjective]:
        """The heads, refitted on all rows."""
        distinct, which = np.unique(self._chosen, return_inverse=True)
        column = np.arange(len(self._objectives))
        errors, pearsons, trained = (
            (self._errors[self._best, column], self._pearsons[self._best, column], self._path[self._best, column])
            if not self._settings.continuous
            else (values[which, column] for values in self._scored(distinct))
        )
        system = self._on_all_rows()
        solved = system.solved(distinct / self._weight)
        edges = (0, len(self._alphas) - 1) if len(self._alphas) > 1 else ()
        return [
            FittedObjective(
                name=self._names[number],
                weight=self._finite(solved[which[at]].weights[at], self._names[number]),
                train_weight=trained[at],
                alpha=float(self._chosen[at]),
                rows=self._both.n,
                validation_rows=self._validation.n,
                validation_mse=float(errors[at]),
                pearson=float(pearsons[at]),
                validation_path=tuple(map(float, self._errors[:, at])),
                at_edge=int(self._best[at]) in edges,
                degrees_of_freedom=solved[which[at]].degrees_of_freedom,
                condition=solved[which[at]].condition,
                constant=self._is_constant(number),
            )
            for at, number in enumerate(self._objectives)
        ]

    def factors(self, moments: Real) -> list[tuple[list[int], NDArray[np.float32]]]:
        """Lists of objectives with the same alpha, each with the packed Cholesky factor of their training rows.

        Args:
            moments: (m, m), to which the mean of x x' over the training rows is added.
        """
        xx = self._learned.xx()
        moments += xx / self._learned.weight_sum
        found = []
        for alpha in np.unique(self._chosen):
            factor = Factor.of(xx, float(alpha) / self._weight, self._learned.scratch.matrix(len(xx), np.float32))
            if factor is not None:
                numbers = [self._objectives[at] for at in np.flatnonzero(self._chosen == alpha)]
                found.append((numbers, packed(factor.lower)))
        return found

    def _scored(
        self, alphas: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Errors and correlations (a, c) on the validation rows, and the heads (a, c, m) that have them."""
        path = self._system.path(alphas / self._weight)
        return *scores_of(self._validation, path, self._objectives), path

    def _generalised(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        effective = alphas / self._weight
        path = self._system.path(effective)
        return generalised_errors(self._learned, self._system, path, self._objectives, effective)

    def _between(self) -> NDArray[np.float64]:
        """Each objective's best alpha between the neighbours of the grid's best. Shape (c,).

        Two finer grids, then the minimum of a parabola in log alpha through the best three points.
        """
        errors_of = self._generalised if self._settings.choose == "gcv" else lambda alphas: self._scored(alphas)[0]
        logs, best = np.log(self._alphas), self._best  # (points,), (c,)
        for _ in range(ZOOMS):
            last = len(logs) - 1
            spans = [(logs[max(at - 1, 0)], logs[min(at + 1, last)]) for at in np.unique(best)]
            logs = np.unique([np.linspace(low, high, BETWEEN) for low, high in spans])
            errors = errors_of(np.exp(logs))  # (points, c)
            best = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)
        chosen = logs[best]
        for column, at in enumerate(best):
            around = slice(at - 1, at + 2)
            if 0 < at < len(logs) - 1 and np.isfinite(errors[around, column]).all():
                steps = logs[around] - logs[at]
                square, slope, _ = np.polyfit(steps, errors[around, column], 2)
                if square > 0:
                    chosen[column] += np.clip(-slope / (2 * square), steps[0], steps[-1])
        return np.exp(chosen)

    def _on_all_rows(self) -> RidgeSystem:
        """The system of training and validation rows together; overwrites that of the training rows."""
        xx = None
        if self._system.rows is None:  # the matrix of the training rows is known
            xx = self._validation.xx(add_to=self._system.matrix)
        return RidgeSystem.of(self._both, self._objectives, xx=xx)

    def _is_constant(self, objective: int) -> bool:
        n, y, yy = self._both.weight_sum, self._both.y[objective], self._both.yy[objective]
        return bool(yy - y * y / n <= 1e-12 * max(yy, 1e-300))

    def _finite(self, weight: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        if np.isnan(weight).any():
            raise UserError(f"the objective {name} cannot be fitted with these alphas: add larger ones to heads.alphas")
        return weight
