"""Taking verbosity out of the rewards: r'_i = r_i - lambda_i * v, with corr(r'_i, v) = 0.

`method = "published_grid"` reproduces the reference code's search (`armo-rm/stage-2_train.py` of
RLHFlow/RLHF-Reward-Modeling): a grid, and a threshold in place of zero. It knows no negative lambda, so an objective
that falls with verbosity keeps all of it, and it stops at the first value that brings the correlation to the threshold
or below, not at zero.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.correlation import MEASURES, ROOTS, Column
from gating.settings import NO_VERBOSITY, RESPONSE_TOKENS, DebiasingSettings
from gating.transform import Transform

ROUNDING = 1e-9
"""A spread below this fraction of the reward's is float64 rounding."""

CLOSE_ENOUGH = 0.01
"""A correlation nearer to zero than this counts as taken out."""

GRID = (0.0, 0.01, 0.025, *(step / 40 for step in range(2, 7)), *(step / 20 for step in range(4, 20)))
"""The reference code's lambdas: 0, 0.01, 0.025, then steps of 0.025 to 0.15, then steps of 0.05 to 0.95."""

NOT_ON_GRID = 1.0
"""The reference code's lambda where no value of the grid is enough."""


@dataclass(frozen=True, slots=True)
class Debiasing:
    """The fitted lambdas, and how well they work on the reference set."""

    objectives: tuple[str, ...]
    verbosity: str
    """Name of an objective, 'response_tokens' or 'none'."""
    correlation: str
    """'spearman' or 'pearson'."""
    lambdas: Column
    """(k,)"""
    before: Column
    """(k,) correlation with verbosity on the reference set, before debiasing."""
    after: Column
    """(k,) the same after debiasing; NaN for the verbosity objective itself, which becomes zero."""

    @property
    def transform(self) -> Transform:
        """The fitted lambdas as they are applied to rewards."""
        return Transform.of_lambdas(self.lambdas, self.verbosity, self.objectives)

    def correlations(self, rewards: NDArray[np.floating], verbosity: NDArray[np.floating]) -> tuple[Column, Column]:
        """Correlation with verbosity before and after debiasing, on rows of any set. Shapes (k,).

        NaN where nothing is taken out, for the verbosity objective after debiasing, and on fewer than two rows.

        Args:
            rewards: (n, k)
            verbosity: (n,)
        """
        before, after = np.full((2, len(self.objectives)), np.nan)
        if self.verbosity == NO_VERBOSITY or len(rewards) < 2:
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


def verbosity_of(
    verbosity: str, rewards: NDArray[np.floating], objectives: Sequence[str], tokens: NDArray[np.integer]
) -> NDArray[np.floating]:
    """The verbosity of responses, as `debiasing.verbosity` names it. Shape (n,).

    Args:
        verbosity: an objective, 'response_tokens' (in thousands), or 'none'.
        rewards: (n, k)
        objectives: names of the k columns.
        tokens: (n,) lengths of the responses.
    """
    if verbosity == RESPONSE_TOKENS:
        return tokens / 1000.0
    if verbosity == NO_VERBOSITY:
        return np.zeros(len(tokens))
    return rewards[:, list(objectives).index(verbosity)]


def fit_debiasing(
    rewards: NDArray[np.floating], verbosity: Column, objectives: Sequence[str], settings: DebiasingSettings
) -> Debiasing:
    """Find lambda for every objective on a reference set.

    The objective that `settings.verbosity` names gets lambda 1 and so becomes zero, as in the reference code.

    Args:
        rewards: (n, k) predicted rewards.
        verbosity: (n,) verbosity of the same responses.
        objectives: names of the k columns.
        settings: which verbosity is taken out, and how lambda is found.

    Raises:
        UserError: the reference set has fewer than two rows, verbosity does not vary on it, or a value is
            not finite.
    """
    name, k = settings.verbosity, len(objectives)
    nothing = np.full(k, np.nan)
    if name == NO_VERBOSITY:
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


def first_on_grid(r: Column, v: Column, measure: Callable[[Column, Column], float], threshold: float) -> float:
    """The first lambda of the grid at which corr(r - lambda v, v) is at most `threshold`; 1 where there is none."""
    return next((value for value in GRID if measure(r - value * v, v) <= threshold), NOT_ON_GRID)


def _refuse_not_finite(rewards: NDArray[np.floating], verbosity: Column, objectives: Sequence[str], name: str) -> None:
    broken = np.flatnonzero(~np.isfinite(rewards).all(axis=0))
    if len(broken):
        raise UserError(
            f"the reward {objectives[broken[0]]} of a reference response is not finite:"
            " run `armorm fit-heads` again, or take the objective out of the recipe"
        )
    if not np.isfinite(verbosity).all():
        raise UserError(f"the verbosity ({name}) of a reference response is not finite: name another")
