"""One prompt and one response, scored or refused in one sentence."""

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from export.not_scorable import NotScorableError
from export.results import ResponseScore
from export.reward_model import RewardModel
from export.rows import all_terms
from extract.records import Message
from gating.reward import Scored


def score_turn(model: RewardModel, prompt: str, response: str) -> Scored:
    """Score a user's message and the answer to it.

    Raises:
        UserError: it cannot be scored.
    """
    return score_and_features(model, prompt, response)[0]


def score_and_features(model: RewardModel, prompt: str, response: str) -> tuple[Scored, NDArray[np.float32]]:
    """The score of a user's message and the answer to it, and the features (layers * d,) of the answer.

    Raises:
        UserError: it cannot be scored.
    """
    (result,) = model.encode_all([[Message("user", prompt), Message("assistant", response)]])
    kept: dict[bytes, NDArray[np.float32]] = {}
    scored = result if isinstance(result, NotScorableError) else model.score_encoded([result], kept)[0]
    if isinstance(scored, NotScorableError):
        raise UserError(f"this conversation cannot be scored: {scored}; change --prompt or --response")
    (features,) = kept.values()
    return scored, features


def score_one(model: RewardModel, prompt: str, response: str, *, full: bool) -> ResponseScore:
    """The result of `armorm score` for one conversation of one turn; raises as `score_turn` does."""
    scored = score_turn(model, prompt, response)
    more = all_terms(scored, model.objectives) if full else {}
    return ResponseScore(prompt=prompt, response=response, score=scored.score, tokens=scored.tokens, **more)
