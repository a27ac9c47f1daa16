"""Taking verbosity out of the rewards: r'_i = r_i - lambda_i * v, with corr(r'_i, v) = 0."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.correlation import MEASURES, ROOTS, Column
from gating.published_grid import first_on_grid
from gating.settings import DebiasingSettings

ROUNDING = 1e-9
"""A spread this small beside the reward's is float64 rounding."""

CLOSE_ENOUGH = 0.01
"""A correlation nearer to zero than this counts as taken out."""


@dataclass(frozen=True, slots=True)
class Debiasing:
    """The fitted transform."""

    objectives: tuple[str, ...]
    verbosity: str
    """Name of an objective, 'response_tokens' or 'none'."""
    correlation: str
    """'spearman' or 'pearson'."""
    lambdas: Column
    """(k,)"""
    before: Column
    """(k,) correlation with verbosity on the reference set."""
    after: Column
    """(k,) the same behind the transform; NaN for the verbosity objective itself, which becomes zero."""

    def apply(self, rewards: NDArray[np.floating], verbosity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Adjusted rewards: rewards (n, k), verbosity (n,) -> (n, k)."""
        return (rewards - self.lambdas[None, :] * verbosity[:, None]).astype(np.float32)

    def correlations(self, rewards: NDArray[np.floating], verbosity: NDArray[np.floating]) -> tuple[Column, Column]:
        """Correlation with verbosity before and behind the transform, on rows of any set. Shapes (k,).

        NaN where nothing is taken out, for the verbosity objective behind the transform, and on fewer than
        two rows.

        Args:
            rewards: (n, k)
            verbosity: (n,)
        """
        before, after = np.full((2, len(self.objectives)), np.nan)
        if self.verbosity == "none" or len(rewards) < 2:
            return before, after
        measure = MEASURES[self.correlation]
        v = np.asarray(verbosity, dtype=np.float64)
        for number, objective in enumerate(self.objectives):
            r = np.asarray(rewards[:, number], dtype=np.float64)
            before[number] = measure(r, v)
            if objective != self.verbosity:
                adjusted = r - self.lambdas[number] * v
                # A reward that is nothing but verbosity leaves rounding, whose correlation means nothing.
                nothing_left = np.std(adjusted) <= ROUNDING * np.std(r)
                after[number] = 0.0 if nothing_left else measure(adjusted, v)
        return before, after

    def not_taken_out(self) -> list[str]:
        """Objectives whose correlation with verbosity on the reference set is not near zero."""
        return [
            name
            for name, after in zip(self.objectives, self.after, strict=True)
            if np.isfinite(after) and abs(after) > CLOSE_ENOUGH
        ]


def fit_debiasing(
    rewards: NDArray[np.floating], verbosity: Column, objectives: Sequence[str], settings: DebiasingSettings
) -> Debiasing:
    """Find lambda for every objective on a reference set.

    The objective that `settings.verbosity` names gets lambda 1 and becomes zero, as in the reference code.

    Args:
        rewards: (n, k) predicted rewards.
        verbosity: (n,) the verbosity of the same responses.
        objectives: names of the k columns.
        settings: what verbosity is, and how lambda is found.

    Raises:
        UserError: the reference set has fewer than two rows, verbosity does not vary on it, or a value is
            not finite.
    """
    name, k = settings.verbosity, len(objectives)
    nothing = np.full(k, np.nan)
    if name == "none":
        return Debiasing(tuple(objectives), name, settings.correlation, np.zeros(k), nothing, nothing)
    if len(verbosity) < 2 or np.ptp(verbosity) == 0:
        raise UserError(
            f"debiasing.verbosity: {name} does not vary over the {len(verbosity)} reference responses:"
            " name another, or 'none', or other sets in debiasing.reference"
        )
    _refuse_not_finite(rewards, verbosity, objectives, name)
    v = np.asarray(verbosity, dtype=np.float64)
    lambdas = np.array(
        [
            1.0 if objective == name else _lambda(np.asarray(rewards[:, number], dtype=np.float64), v, settings)
            for number, objective in enumerate(objectives)
        ]
    )
    fitted = Debiasing(tuple(objectives), name, settings.correlation, lambdas, nothing, nothing)
    before, after = fitted.correlations(rewards, v)
    return Debiasing(tuple(objectives), name, settings.correlation, lambdas, before, after)


def _lambda(r: Column, v: Column, settings: DebiasingSettings) -> float:
    if settings.method == "published_grid":
        return first_on_grid(r, v, MEASURES[settings.correlation], settings.grid_threshold)
    return ROOTS[settings.correlation](r, v)


def _refuse_not_finite(rewards: NDArray[np.floating], verbosity: Column, objectives: Sequence[str], name: str) -> None:
    broken = np.flatnonzero(~np.isfinite(rewards).all(axis=0))
    if len(broken):
        raise UserError(
            f"the reward {objectives[broken[0]]} of a reference response is not finite:"
            " run `armorm fit-heads` again, or take the objective out of the recipe"
        )
    if not np.isfinite(verbosity).all():
        raise UserError(f"the verbosity ({name}) of a reference response is not finite: name another")
