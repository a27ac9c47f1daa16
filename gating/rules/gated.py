"""Rules whose weights depend on the prompt: the gate, and its limit at temperature 0."""

import numpy as np
from numpy.typing import NDArray

from gating.rules.rule import Arrays, Responses, Rule, Scores


def contributions(rewards: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Terms of the gated score, (n, k) float64; their sum over the objectives is the score."""
    return weights.astype(np.float64) * rewards.astype(np.float64)


def _gate(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return contributions(responses.rewards, responses.weights).sum(axis=-1)


def _strongest(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    normed = responses.weights / responses.weights.sum(axis=-1, keepdims=True)  # (n, k)
    strongest = normed.argmax(axis=-1)  # (n,)
    rewards = responses.rewards.astype(np.float64)
    return rewards[np.arange(len(rewards)), strongest]


GATE = Rule("gated objectives", "ArmoRM + MoE", _gate)
"""The method's score: g(f(x)) · r'."""

STRONGEST = Rule("the gate's strongest objective alone", "temperature to 0", _strongest)
"""The gate's softmax at temperature 0. At infinite temperature it is the rule of equal weights."""
