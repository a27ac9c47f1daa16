"""The distribution of one response's score, by each kind of head that predicts whole distributions of ratings."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.results import ScoreDistribution
from gating.mixture import score_distribution
from gating.reward import RewardParts, Scored
from heads.distributions import Distributions

LOW, HIGH = 0.05, 0.95
"""Levels of the quantiles that are shown: between them lie 90 % of the distribution."""


def score_distributions(
    parts: RewardParts, scored: Scored, by_kind: Mapping[str, Mapping[str, Distributions]]
) -> dict[str, ScoreDistribution]:
    """The distribution of a score that the gate makes of its objectives'.

    Args:
        parts: the reward model.
        scored: the response's score, whose weights and measurements are taken.
        by_kind: kind -> objective -> distribution (1) of the response's rating, on the scale of rewards; all objectives
            of the reward model.

    Returns:
        Kind -> distribution; empty where a weight is negative or all are 0, with which nothing can be drawn, and where
        a profile caps the score.
    """
    found: dict[str, ScoreDistribution] = {}
    weights = scored.coefficients  # (k,)
    capped = scored.steered is not None and bool(scored.steered.vetoed)
    if capped or (weights < 0).any() or not weights.any():
        return found
    for kind, by_objective in by_kind.items():
        each = [by_objective[name] for name in parts.objectives]
        means = np.stack([one.mean for one in each], axis=-1)  # (1, k)
        penalties = parts.transform.penalties(means, scored.measured)  # (1, k)
        found[kind] = _summary(score_distribution(each, weights[None], penalties))
    return found


def _summary(one: Distributions) -> ScoreDistribution:
    columns: tuple[NDArray[np.float64], ...] = (
        one.mean,
        np.sqrt(one.variance),
        one.quantile(LOW),
        one.quantile(0.5),
        one.quantile(HIGH),
    )
    return ScoreDistribution(*(float(column[0]) for column in columns))
