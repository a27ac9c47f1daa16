"""The rewards that a request names, and the scale that it wants them on."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cache import UserError
from export.server.inputs import Many
from export.server.refusals import RefusedRequest
from export.server.stand_in import StandIn
from gating.reward import Scored
from gating.reward_scales import RewardScales, ScaledRewards, ScaleName, factors_of

Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Its bounds keep sums finite."""


class ChosenRewards(BaseModel):
    """Keys of a request for some rewards."""

    model_config = ConfigDict(use_attribute_docstrings=True, allow_inf_nan=False)

    objectives: Many[str] | None = None
    """Names of objectives, or `score`: the rewards that are wanted, in this order."""
    scale: ScaleName | None = None
    """Scale of the rewards; left out: raw, as the heads predict them."""
    debiased: bool | None = None
    """true: rewards after debiasing."""


class WeightedRewards(ChosenRewards):
    """Keys of a request for some rewards, and for one number that is made of them."""

    weights: Many[Weight] | None = None
    """Weight of each of `objectives` in the one number; left out: their mean."""

    @property
    def says_something(self) -> bool:
        """Whether any of these keys is given."""
        return any(getattr(self, key) is not None for key in WeightedRewards.model_fields)


def scaled_rewards(
    scales: RewardScales, asked: ChosenRewards, names: Sequence[str] | None, *, steered: bool
) -> ScaledRewards:
    """Some rewards on the scale that is asked for; without names the score.

    Raises:
        RefusedRequest: the model cannot give one of them.
    """
    try:
        if names is None:
            return scales.of_score(asked.scale or "raw", steered=steered)
        return scales.chosen(names, asked.scale or "raw", debiased=bool(asked.debiased), steered=steered)
    except UserError as error:
        raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def factors(weights: Sequence[float] | None, count: int) -> NDArray[np.float64]:
    """As `factors_of`, for a request.

    Raises:
        RefusedRequest: there are not as many weights as rewards.
    """
    try:
        return factors_of(weights, count)
    except UserError as error:
        raise RefusedRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None


def numbers(answers: Sequence[Scored | StandIn], scaled: ScaledRewards) -> NDArray[np.float64]:
    """The m rewards of n answers, each the same number where it stands in for a score. Shape (n, m).

    Raises:
        RefusedRequest: one is not finite on this scale.
    """
    values = np.empty((len(answers), len(scaled.names)))  # (n, m)
    values[:] = [[one.score] for one in answers]
    there = [place for place, one in enumerate(answers) if isinstance(one, Scored)]
    try:
        values[there] = scaled.of([one for one in answers if isinstance(one, Scored)])
    except UserError as error:
        raise RefusedRequest(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
    return values
