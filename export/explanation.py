"""A score as a table of terms: what each objective adds, and what verbosity takes from it."""

from collections.abc import Mapping, Sequence

import numpy as np

from cache import UserError
from export.one_turn import score_turn
from export.results import Explanation, GateWeights, Rating, RewardUncertainty, SteeringEffect, Term, Verbosity
from export.reward_model import RewardModel
from gating.collapse import summarise
from gating.debiasing import verbosity_of
from gating.reward import RewardParts, Scored
from gating.steering import Steering
from gating.transform import MixedTransformError
from heads.objectives import Scale


def explain(model: RewardModel, prompt: str, response: str, steering: Steering | None = None) -> Explanation:
    """Score one conversation of one turn, term by term; under a profile, if one is given.

    Raises:
        UserError: the conversation cannot be scored, or the transform takes out more than one verbosity.
    """
    scored = score_turn(model, prompt, response, steering)
    try:
        return explanation(model.parts, scored, prompt, response, model.config.scales)
    except MixedTransformError:
        raise UserError(
            f"the reward_transform_matrix in {model.folder} takes more than one objective out of the others, which no"
            " table of verbosity penalties shows: read the contributions of `armorm score --full` instead"
        ) from None


def explanation(
    parts: RewardParts, scored: Scored, prompt: str, response: str, scales: Mapping[str, Scale] | None = None
) -> Explanation:
    """The terms of a score.

    With coefficient g_i, reward r_i and verbosity v, objective i adds g_i r_i and the verbosity penalty takes
    g_i lambda_i v from it; `contribution` is the difference. Coefficients and rewards are float32 numbers, all
    arithmetic on them is float64, and the score is the float64 sum of the contributions in the order given.

    Args:
        parts: the reward model.
        scored: the score.
        prompt: shown with it.
        response: shown with it.
        scales: objective -> scale of its ratings, where it is known: rewards and their errors are given on it too.

    Raises:
        MixedTransformError: the transform takes out more than one verbosity.
    """
    name = parts.transform.verbosity(parts.objectives)
    tokens = np.asarray([scored.response_tokens])
    (value,) = verbosity_of(name, scored.rewards[None], parts.objectives, tokens).tolist()
    columns = (
        scored.rewards,
        scored.coefficients,
        parts.transform.lambdas(),
        scored.gains,
        scored.penalties,
        scored.contributions,
    )
    known = scored.uncertainty
    on_scale = _on_scales(parts.objectives, scored, scales or {})
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
                uncertainty=None if known is None else RewardUncertainty.of(known, number),
                rating=on_scale.get(objective),
            )
            for number, (objective, reward, coefficient, of_verbosity, gain, penalty, contribution) in enumerate(
                zip(parts.objectives, *(column.tolist() for column in columns), strict=True)
            )
        ),
        score_std=None if known is None else known.score_std,
        unfamiliar=None if known is None else known.unfamiliar,
        verbosity=Verbosity(name, value, scored.response_tokens),
        gain=float(scored.gains.sum()),
        verbosity_penalty=float(scored.penalties.sum()),
        gate=GateWeights(float(scored.weights.sum()), summary.entropy, summary.top_share),
        steering=SteeringEffect.of(scored, parts.objectives),
    )


def _on_scales(objectives: Sequence[str], scored: Scored, scales: Mapping[str, Scale]) -> dict[str, Rating]:
    """Objective -> its reward and standard error on the scale of its ratings, where that is known."""
    found = {}
    for number, name in enumerate(objectives):
        if (scale := scales.get(name)) is not None:
            spread = scored.uncertainty
            std = None if spread is None else float(scale.raw_spread(spread.reward_std[number]))
            found[name] = Rating(float(scale.raw(scored.rewards[number])), std, scale.low, scale.high)
    return found
