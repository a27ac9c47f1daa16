"""A score as a table of terms: what each objective adds, and what verbosity takes from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from export.one_turn import score_and_features
from export.results import Explanation, GateWeights, Rating, RewardUncertainty, SteeringEffect, Term, Verbosity
from export.reward_model import RewardModel
from export.score_distributions import score_distributions
from gating.collapse import summarise
from gating.debiasing import verbosity_of
from gating.reward import RewardParts, Scored
from gating.steering import Steering
from gating.transform import MixedTransformError
from heads.distributions import Distributions
from heads.objectives import Scale

Predicted = Callable[[NDArray[np.float32]], Mapping[str, Mapping[str, Distributions]]]
"""Features (n, layers * d) of responses -> kind of head -> objective -> distributions (n) of its ratings."""


def explain(
    model: RewardModel,
    prompt: str,
    response: str,
    predicted: Predicted | None = None,
    steering: Steering | None = None,
) -> Explanation:
    """Score one conversation of one turn, term by term; under a profile, if one is given.

    Args:
        model: the reward model.
        prompt: the user's message.
        response: the answer.
        predicted: heads of the same objectives that predict distributions, if there are any.
        steering: a profile bound to the model.

    Raises:
        UserError: the conversation cannot be scored, or the transform takes out more than one verbosity.
    """
    scored, features = score_and_features(model, prompt, response, steering)
    by_kind = {} if predicted is None else predicted(features[None])
    try:
        told = explanation(model.parts, scored, prompt, response, model.config.scales)
    except MixedTransformError:
        raise UserError(
            f"the reward_transform_matrix in {model.folder} takes more than one objective out of the others, which no"
            " table of verbosity penalties shows: read the contributions of `armorm score --full` instead"
        ) from None
    return replace(told, distributions=score_distributions(model.parts, scored, by_kind))


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
    known, between = scored.uncertainty, scored.intervals
    ends = [None] * len(parts.objectives) if between is None else between.pairs()
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
                interval=ends[number],
                rating=on_scale.get(objective),
            )
            for number, (objective, reward, coefficient, of_verbosity, gain, penalty, contribution) in enumerate(
                zip(parts.objectives, *(column.tolist() for column in columns), strict=True)
            )
        ),
        score_std=None if known is None else known.score_std,
        unfamiliar=None if known is None else known.unfamiliar,
        coverage=None if between is None else between.coverage,
        verbosity=Verbosity(name, value, scored.response_tokens),
        gain=float(scored.gains.sum()),
        verbosity_penalty=float(scored.penalties.sum()),
        gate=GateWeights(float(scored.weights.sum()), summary.entropy, summary.top_share),
        steering=SteeringEffect.of(scored, parts.objectives),
    )


def _on_scales(objectives: Sequence[str], scored: Scored, scales: Mapping[str, Scale]) -> dict[str, Rating]:
    """Objective -> its reward, standard error and interval on the scale of its ratings, where that is known."""
    found = {}
    spread, between = scored.uncertainty, scored.intervals
    for number, name in enumerate(objectives):
        if (scale := scales.get(name)) is not None:
            std = None if spread is None else float(scale.raw_spread(spread.reward_std[number]))
            interval = None
            if between is not None and not np.isnan(between.ends[number, 0]):
                low, high = scale.raw(between.ends[number]).tolist()
                interval = (low, high)
            value = float(scale.raw(scored.rewards[number]))
            found[name] = Rating(value, std, interval, scale.low, scale.high)
    return found
