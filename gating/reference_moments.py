"""Means and standard deviations on the reference set, by which rewards and scores are put on a scale.

The reference set is the one that lambda is fitted on: the distinct training responses of `debiasing.reference`.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import key_column, unique_keys
from cache.progress import Progress
from gating.correlation import ROUNDING
from gating.measured import Measured
from gating.moments import LARGEST, Moments, ReferenceMoments
from gating.reward import RewardParts
from heads.stored import predict_stored

BLOCK_ROWS = 1 << 14
"""Responses debiased, or scored, at once."""


def reference_moments(
    responses: pl.DataFrame, parts: RewardParts, store: FeatureStore, progress: Progress
) -> ReferenceMoments:
    """Moments over some responses.

    Args:
        responses: distinct responses of one split, as `reference_responses` gives them.
        parts: the fitted reward model.
        store: holds the features.
        progress: receives the number of responses read.

    Raises:
        UserError: a reward or score is not finite.
    """
    rewards = predict_stored(store, key_column(responses["key"]), parts.weight, progress)  # (n, k)
    # Debiasing leaves this spread of a reward that is nothing but verbosity. Of all columns at once std makes a copy.
    least = ROUNDING * np.array([column.std() for column in rewards.T])  # (k,)
    of_rewards = _by_name(parts.objectives, rewards, np.zeros(len(least)))
    measured = Measured.of_rows(responses)
    blocks = [np.arange(start, min(start + BLOCK_ROWS, len(rewards))) for start in range(0, len(rewards), BLOCK_ROWS)]
    adjusted = rewards  # (n, k) in place: with millions of responses a second array of this size is large
    for some in blocks:
        adjusted[some] = parts.transform.apply(rewards[some], measured[some])
    prompts, (prompt,) = unique_keys(responses["prompt_key"])
    weights = np.full((len(prompts), len(parts.objectives)), np.nan)  # (p, k)
    known = ~store.missing(prompts) & [key.tobytes() not in store.skipped for key in prompts]  # (p,)
    there = np.flatnonzero(known)
    for positions, features in store.stream(prompts[there]):
        weights[there[positions]] = parts.weights(features.reshape(len(features), -1))
    scores = np.empty(len(adjusted))  # (n,)
    for some in blocks:
        scores[some] = (weights[prompt[some]] * adjusted[some]).sum(axis=-1)
    scores = scores[known[prompt]]  # (scored,)
    return ReferenceMoments(
        responses=len(adjusted),
        rewards=of_rewards,
        debiased=_by_name(parts.objectives, adjusted, least),
        scored=len(scores),
        score=_moments("score", scores, 0.0) if len(scores) else None,
    )


def _by_name(
    objectives: tuple[str, ...], values: NDArray[np.float64], least: NDArray[np.float64]
) -> dict[str, Moments]:
    """Objective -> moments of its column of values (n, k); `least` (k,) counts as no variation."""
    return {
        name: _moments(name, column, float(rounding))
        for name, column, rounding in zip(objectives, values.T, least, strict=True)
    }


def _moments(name: str, values: NDArray[np.float64], least: float) -> Moments:
    """Moments of values (n,); a standard deviation of `least` or of rounding counts as none."""
    mean, std = float(values.mean()), float(values.std())
    if not (np.isfinite(std) and abs(mean) <= LARGEST and std <= LARGEST):
        raise UserError(
            f"the {name} of a reference response is not finite, or is too large: run `armorm fit-heads` again, or take"
            " the objective out of the recipe"
        )
    return Moments(mean=mean, std=std if std > max(least, ROUNDING * abs(mean), 1 / LARGEST) else None)
