"""A score as a table of terms: what each objective adds, and what verbosity takes from it."""

import numpy as np

from cache import UserError
from export.one_turn import score_turn
from export.results import Explanation, GateWeights, Term, Verbosity
from export.reward_model import RewardModel
from gating.collapse import summarise
from gating.debiasing import verbosity_of
from gating.reward import RewardParts, Scored
from gating.transform import MixedTransformError


def explain(model: RewardModel, prompt: str, response: str) -> Explanation:
    """Score one conversation of one turn, term by term.

    Raises:
        UserError: the conversation cannot be scored, or the transform takes out more than one verbosity.
    """
    scored = score_turn(model, prompt, response)
    try:
        return explanation(model.parts, scored, prompt, response)
    except MixedTransformError:
        raise UserError(
            f"the reward_transform_matrix in {model.folder} takes more than one objective out of the others, which no"
            " table of verbosity penalties shows: read the contributions of `armorm score --full` instead"
        ) from None


def explanation(parts: RewardParts, scored: Scored, prompt: str, response: str) -> Explanation:
    """The terms of a score.

    With coefficient g_i, reward r_i and verbosity v, objective i adds g_i r_i and the verbosity penalty takes
    g_i lambda_i v from it; `contribution` is the difference. Coefficients and rewards are float32 numbers, all
    arithmetic on them is float64, and the score is the float64 sum of the contributions in the order given.

    Raises:
        MixedTransformError: the transform takes out more than one verbosity.
    """
    name = parts.transform.verbosity(parts.objectives)
    tokens = np.asarray([scored.response_tokens])
    (value,) = verbosity_of(name, scored.rewards[None], parts.objectives, tokens).tolist()
    columns = (
        scored.rewards,
        scored.weights.astype(np.float64),
        parts.transform.lambdas(),
        scored.gains,
        scored.penalties,
        scored.contributions,
    )
    summary = summarise(scored.weights[None], parts.objectives)
    return Explanation(
        prompt=prompt,
        response=response,
        score=scored.score,
        objectives=tuple(
            Term(
                name=objective,
                reward=reward,
                coefficient=coefficient,
                lambda_=of_verbosity,
                gain=gain,
                verbosity_penalty=penalty,
                contribution=contribution,
            )
            for objective, reward, coefficient, of_verbosity, gain, penalty, contribution in zip(
                parts.objectives, *(column.tolist() for column in columns), strict=True
            )
        ),
        verbosity=Verbosity(name, value, scored.response_tokens),
        gain=float(scored.gains.sum()),
        verbosity_penalty=float(scored.penalties.sum()),
        gate=GateWeights(float(scored.weights.sum()), summary.entropy, summary.top_share),
    )
