"""Means and standard deviations on the reference set, by which rewards and scores are put on a scale.

The reference set is the one that lambda is fitted on: the distinct training responses of `debiasing.reference`.
"""

from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cache import FeatureStore, UserError
from cache.keys import unique_keys
from cache.progress import Progress
from gating.correlation import ROUNDING
from gating.measured import Measured
from gating.reward import RewardParts
from heads.stored import predict_stored

LARGEST = 1e30
"""Bound of every size in a file: float32 holds it, and a reward over the smallest is still finite in float64."""

Size = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST)]
"""A standard deviation or a temperature that numbers are divided by."""


class Moments(BaseModel):
    """Mean and standard deviation of one number over the reference set."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    mean: float = Field(ge=-LARGEST, le=LARGEST)
    std: Size | None
    """Standard deviation (divided by n); None where the number does not vary, but for rounding."""


class ReferenceMoments(BaseModel):
    """Moments of every reward, of every debiased reward and of the score."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    responses: int = Field(ge=1)
    """Number of distinct responses of the rewards' moments."""
    rewards: dict[str, Moments]
    """Objective -> moments of its reward, before debiasing."""
    debiased: dict[str, Moments]
    """Objective -> moments of its reward after debiasing."""
    scored: int = Field(ge=0)
    """Number of these responses whose prompt has a feature in the store, which the score's moments need."""
    score: Moments | None
    """Moments of the score under the gate's own weights; None where `scored` is 0."""


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
    keys, (place,) = unique_keys(responses["key"])
    rewards = predict_stored(store, keys, parts.weight, progress)[place]  # (n, k)
    adjusted = parts.transform.apply(rewards, Measured.of_rows(responses))  # (n, k)
    prompts, (prompt,) = unique_keys(responses["prompt_key"])
    weights = np.full((len(prompts), len(parts.objectives)), np.nan)  # (p, k)
    known = ~store.missing(prompts) & [key.tobytes() not in store.skipped for key in prompts]  # (p,)
    there = np.flatnonzero(known)
    for positions, features in store.stream(prompts[there]):
        weights[there[positions]] = parts.weights(features.reshape(len(features), -1))
    scores = (weights[prompt] * adjusted).sum(axis=-1)[known[prompt]]  # (scored,)
    least = ROUNDING * rewards.std(axis=0)  # (k,) what debiasing leaves of a reward that is nothing but verbosity
    return ReferenceMoments(
        responses=len(rewards),
        rewards=_by_name(parts.objectives, rewards, np.zeros(len(least))),
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
