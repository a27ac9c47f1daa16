"""One prompt and one response, scored or refused in one sentence."""

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
    (scored,) = model.score_each([[Message("user", prompt), Message("assistant", response)]], steering)
    if isinstance(scored, NotScorableError):
        raise UserError(f"this conversation cannot be scored: {scored}; change --prompt or --response")
    return scored


def score_one(
    model: RewardModel, prompt: str, response: str, *, full: bool, steering: Steering | None = None
) -> ResponseScore:
    """The result of `armorm score` for one conversation of one turn; raises as `score_turn` does."""
    scored = score_turn(model, prompt, response, steering)
    effect = {"steering": SteeringEffect.of(scored, model.objectives)}
    more = all_terms(scored, model.objectives) | effect if full else {}
    return ResponseScore(prompt=prompt, response=response, score=scored.score, tokens=scored.tokens, **more)
