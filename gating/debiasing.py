"""Taking variables such as length out of the rewards: r'_i = r_i - sum_j lambda_ij v_j, with corr(r'_i, v_j) = 0.

A variable is measured in the response (`gating.measured`) or an objective. An objective that is a variable becomes zero
itself, after its own value was used for the others: its lambda on itself is 1, on the other variables 0.

`method = "published_grid"` reproduces the reference code's search for one variable (`armo-rm/stage-2_train.py` of
RLHFlow/RLHF-Reward-Modeling): a grid, and a threshold in place of zero. It knows no negative lambda, so an objective
that falls with verbosity keeps all of it, and it stops at the first value that brings the correlation to the threshold
or below, not at zero.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.correlation import CLOSE_ENOUGH, MEASURES, ROOTS, ROUNDING, Column
from gating.joint_correlation import Matrix, pearson_roots, spearman_roots
from gating.settings import DebiasingSettings
from gating.transform import Transform

GRID = (0.0, 0.01, 0.025, *(step / 40 for step in range(2, 7)), *(step / 20 for step in range(4, 20)))
"""The reference code's lambdas: 0, 0.01, 0.025, then steps of 0.025 to 0.15, then steps of 0.05 to 0.95."""

NOT_ON_GRID = 1.0
"""The reference code's lambda where no value of the grid is enough."""


@dataclass(frozen=True, slots=True)
class Debiasing:
    """The fitted lambdas, and how well they work on the reference set."""

    objectives: tuple[str, ...]
    variables: tuple[str, ...]
    """The m variables that are taken out, in the order of `settings.in_order`."""
    correlation: str
    """'spearman' or 'pearson'."""
    lambdas: Matrix
    """(m, k)"""
    before: Matrix
    """(m, k) correlation of rewards with variables on the reference set, before debiasing."""
    after: Matrix
    """(m, k) the same after debiasing; NaN for objectives that are variables, which become zero."""

    @property
    def transform(self) -> Transform:
        """The fitted lambdas as they are applied to rewards."""
        return Transform.of_lambdas(self.lambdas, self.variables, self.objectives)

    def correlations(self, rewards: NDArray[np.floating], values: Matrix) -> tuple[Matrix, Matrix]:
        """Correlations with the variables before and after debiasing, on rows of any set. Shapes (m, k).

        NaN for objectives that are variables after debiasing, for variables that do not vary, and on fewer than two
        rows.

        Args:
            rewards: (n, k)
            values: (n, m) the variables.
        """
        before, after = np.full((2, len(self.variables), len(self.objectives)), np.nan)
        if not self.variables or len(rewards) < 2:
            return before, after
        measure = MEASURES[self.correlation]
        for number, objective in enumerate(self.objectives):
            r = np.asarray(rewards[:, number], dtype=np.float64)
            before[:, number] = [measure(r, v) for v in values.T]
            if objective not in self.variables:
                adjusted = r
                for value, v in zip(self.lambdas[:, number], values.T, strict=True):
                    adjusted = adjusted - value * v
                # A reward that is nothing but these variables leaves rounding, whose correlation means nothing.
                nothing_left = np.std(adjusted) <= ROUNDING * np.std(r)
                after[:, number] = 0.0 if nothing_left else [measure(adjusted, v) for v in values.T]
        constant = np.ptp(values, axis=0) == 0  # (m,)
        before[constant] = after[constant] = np.nan
        return before, after

    def not_taken_out(self) -> dict[str, dict[str, float]]:
        """Objective -> variable -> correlation on the reference set after debiasing, where it is not near zero."""
        remaining = {
            name: {
                variable: float(value)
                for variable, value in zip(self.variables, column, strict=True)
                if np.isfinite(value) and abs(value) > CLOSE_ENOUGH
            }
            for name, column in zip(self.objectives, self.after.T, strict=True)
        }
        return {name: found for name, found in remaining.items() if found}


def fit_debiasing(
    rewards: NDArray[np.floating],
    values: Matrix,
    variables: Sequence[str],
    objectives: Sequence[str],
    settings: DebiasingSettings,
) -> Debiasing:
    """Find lambdas for every objective on a reference set.

    One variable has the lambda of `gating.correlation`, several have those of `gating.joint_correlation`.

    Args:
        rewards: (n, k) predicted rewards.
        values: (n, m) variables of the same responses, those that are objectives among them.
        variables: names of the m columns.
        objectives: names of the k columns.
        settings: how lambdas are found.

    Raises:
        UserError: the reference set has fewer than two rows, a variable does not vary on it, or a value is not finite.
    """
    shape = len(variables), len(objectives)
    lambdas = np.zeros(shape)
    nothing = np.full(shape, np.nan)
    for name, v in zip(variables, values.T, strict=True):
        if len(v) < 2 or np.ptp(v) == 0:
            raise UserError(
                f"debiasing.verbosity: {name} does not vary over the {len(v)} reference responses:"
                f" {'take it out' if len(variables) > 1 else 'name another'}, or other sets in debiasing.reference"
            )
    if variables:
        _refuse_not_finite(rewards, values, objectives, variables)
        others = [number for number, objective in enumerate(objectives) if objective not in variables]
        kept = np.asarray(rewards[:, others], dtype=np.float64)  # (n, others)
        lambdas[:, others] = _lambdas(kept, np.asarray(values, dtype=np.float64), settings)
    for number, variable in enumerate(variables):
        if variable in objectives:
            lambdas[number, list(objectives).index(variable)] = 1.0
    fitted = Debiasing(tuple(objectives), tuple(variables), settings.correlation, lambdas, nothing, nothing)
    before, after = fitted.correlations(rewards, values)
    return replace(fitted, before=before, after=after)


def _lambdas(rewards: Matrix, values: Matrix, settings: DebiasingSettings) -> Matrix:
    """The lambdas (m, k) of rewards (n, k) on variables (n, m)."""
    if values.shape[-1] == 1:
        return np.array([[_lambda(r, values[:, 0], settings) for r in rewards.T]])
    if settings.correlation == "pearson":
        return pearson_roots(rewards, values).T
    return np.array([spearman_roots(r, values) for r in rewards.T]).reshape(len(rewards.T), -1).T


def _lambda(r: Column, v: Column, settings: DebiasingSettings) -> float:
    if settings.method == "published_grid":
        return first_on_grid(r, v, MEASURES[settings.correlation], settings.grid_threshold)
    return ROOTS[settings.correlation](r, v)


def first_on_grid(r: Column, v: Column, measure: Callable[[Column, Column], float], threshold: float) -> float:
    """The first lambda of the grid at which corr(r - lambda v, v) is at most `threshold`; 1 where there is none."""
    return next((value for value in GRID if measure(r - value * v, v) <= threshold), NOT_ON_GRID)


def _refuse_not_finite(
    rewards: NDArray[np.floating], values: Matrix, objectives: Sequence[str], variables: Sequence[str]
) -> None:
    broken = np.flatnonzero(~np.isfinite(rewards).all(axis=0))
    if len(broken):
        raise UserError(
            f"the reward {objectives[broken[0]]} of a reference response is not finite:"
            " run `armorm fit-heads` again, or take the objective out of the recipe"
        )
    broken = np.flatnonzero(~np.isfinite(values).all(axis=0))
    if len(broken):
        raise UserError(f"the verbosity ({variables[broken[0]]}) of a reference response is not finite: name another")
