"""One prompt and one response, scored or refused in one sentence."""

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from export.not_scorable import NotScorableError
from export.results import ResponseScore, SteeringEffect
from export.reward_model import RewardModel
from export.rows import all_terms
from extract.records import Message
from gating.reward import Scored
from gating.steering import Steering


def score_turn(model: RewardModel, prompt: str, response: str, steering: Steering | None = None) -> Scored:
    """Score a user's message and the answer to it; under a profile, if one is given.

    Raises:
        UserError: it cannot be scored.
    """
    return score_and_features(model, prompt, response, steering)[0]


def score_and_features(
    model: RewardModel, prompt: str, response: str, steering: Steering | None = None
) -> tuple[Scored, NDArray[np.float32]]:
    """The score of a user's message and the answer to it, and the features (layers * d,) of the answer.

    Raises:
        UserError: it cannot be scored.
    """
    (result,) = model.encode_all([[Message("user", prompt), Message("assistant", response)]])
    kept: dict[bytes, NDArray[np.float32]] = {}
    scored: Scored | NotScorableError = (
        result
        if isinstance(result, NotScorableError)
        else model.steered(model.score_encoded([result], kept)[0], steering)
    )
    if isinstance(scored, NotScorableError):
        raise UserError(f"this conversation cannot be scored: {scored}; change --prompt or --response")
    (features,) = kept.values()
    return scored, features


def score_one(
    model: RewardModel, prompt: str, response: str, *, full: bool, steering: Steering | None = None
) -> ResponseScore:
    """The result of `armorm score` for one conversation of one turn; raises as `score_turn` does."""
    scored = score_turn(model, prompt, response, steering)
    effect = {"steering": SteeringEffect.of(scored, model.objectives)}
    more = all_terms(scored, model.objectives) | effect if full else {}
    return ResponseScore(prompt=prompt, response=response, score=scored.score, tokens=scored.tokens, **more)
