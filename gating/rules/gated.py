"""Rules whose weights depend on the prompt: the gate, and its limit at temperature 0."""

import numpy as np
from numpy.typing import NDArray

from gating.rules.rule import Arrays, Responses, Rule, Scores


def contributions(rewards: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Terms of the gated score, (n, k) float64; their sum over the objectives is the score."""
    return weights.astype(np.float64) * rewards.astype(np.float64)


def _gate(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return contributions(responses.rewards, responses.weights).sum(axis=-1)


def _before_debiasing(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return contributions(responses.before_debiasing, responses.weights).sum(axis=-1)


def _gate_weights(responses: Responses, fitted: Arrays) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of rules
    return responses.weights.astype(np.float64)


def _strongest_of(responses: Responses) -> NDArray[np.int64]:
    """The objective (n,) with the largest part of the gate's weight."""
    normed = responses.weights / responses.weights.sum(axis=-1, keepdims=True)  # (n, k)
    return normed.argmax(axis=-1)


def _strongest(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    rewards = responses.rewards.astype(np.float64)
    return rewards[np.arange(len(rewards)), _strongest_of(responses)]


def _strongest_alone(responses: Responses, fitted: Arrays) -> NDArray[np.float64]:  # noqa: ARG001 - as above
    weights: NDArray[np.float64] = np.eye(responses.weights.shape[-1])[_strongest_of(responses)]
    return weights


GATE = Rule("gated objectives", "ArmoRM + MoE", _gate, reward_weights=_gate_weights)
"""The method's score: g(f(x)) · r'."""

BEFORE_DEBIASING = Rule("gated objectives before debiasing", "nothing taken out", _before_debiasing)
"""Gate's weights on the rewards that nothing was taken out of: beside the gate it shows the effect of debiasing."""

STRONGEST = Rule(
    "the gate's strongest objective alone", "temperature to 0", _strongest, reward_weights=_strongest_alone
)
"""The gate's softmax at temperature 0. At infinite temperature it is the rule of equal weights."""
