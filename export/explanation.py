"""A score as a table of terms: what each objective adds, and what each variable such as length takes from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from export.one_turn import score_and_features
from export.results import Explanation, GateWeights, Rating, RewardUncertainty, SteeringEffect, Term, Variable
from export.reward_model import RewardModel
from export.score_distributions import score_distributions
from gating.collapse import summarise
from gating.reward import RewardParts, Scored
from gating.steering import Steering
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
        UserError: the conversation cannot be scored.
    """
    scored, features = score_and_features(model, prompt, response, steering)
    by_kind = {} if predicted is None else predicted(features[None])
    told = explanation(model.parts, scored, prompt, response, model.config.scales)
    return replace(told, distributions=score_distributions(model.parts, scored, by_kind))


def explanation(
    parts: RewardParts, scored: Scored, prompt: str, response: str, scales: Mapping[str, Scale] | None = None
) -> Explanation:
    """The terms of a score.

    With coefficient g_i, reward r_i and variables v_j, objective i adds g_i r_i and variable j takes g_i lambda_ij v_j
    from it; `contribution` is the difference. Coefficients and rewards are float32 numbers, all arithmetic on them is
    float64, and the score is the float64 sum of the contributions in the order given.

    Args:
        parts: the reward model.
        scored: the score.
        prompt: shown with it.
        response: shown with it.
        scales: objective -> scale of its ratings, where it is known: rewards and their errors are given on it too.
    """
    transform, names = parts.transform, parts.transform.variables(parts.objectives)
    (values,) = transform.values(scored.rewards[None], scored.measured)  # (m,)
    lambdas = transform.lambdas()  # (m, k)
    penalties = scored.coefficients * lambdas * values[:, None]  # (m, k)
    columns = (
        scored.rewards,
        scored.coefficients,
        lambdas.T,
        penalties.T,
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
                lambdas=dict(zip(names, of_variables, strict=True)),
                gain=gain,
                penalties=dict(zip(names, taken, strict=True)),
                verbosity_penalty=penalty,
                contribution=contribution,
                uncertainty=None if known is None else RewardUncertainty.of(known, number),
                interval=ends[number],
                rating=on_scale.get(objective),
            )
            for number, (objective, reward, coefficient, of_variables, taken, gain, penalty, contribution) in enumerate(
                zip(parts.objectives, *(column.tolist() for column in columns), strict=True)
            )
        ),
        score_std=None if known is None else known.score_std,
        unfamiliar=None if known is None else known.unfamiliar,
        coverage=None if between is None else between.coverage,
        response_tokens=scored.response_tokens,
        verbosity=tuple(
            Variable(name, value, penalty)
            for name, value, penalty in zip(names, values.tolist(), penalties.sum(axis=-1).tolist(), strict=True)
        ),
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
