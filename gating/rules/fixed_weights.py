"""Rules with one set of weights for all prompts, from equal weights to those fitted on training pairs."""

import numpy as np
from numpy.typing import NDArray

from gating.logistic_weights import Weights, logistic_weights
from gating.rules.rule import Arrays, PairRewards, Responses, Rule, Scores

SMALLEST_EIGENVALUE = 1e-6
"""Fraction of the largest eigenvalue below which a direction of the rewards is rounding and is not used."""


def decorrelated_weights(difference: NDArray[np.floating]) -> Weights:
    """Whitened uniform weights, C^(-1/2) 1 over the objectives in units of their spread. Shape (k,).

    Objectives that agree with one another count as one together instead of one each (RRD, arXiv 2602.05125, weights
    rubrics in this way). Preferences are not used.

    Args:
        difference: (n, k) differences of the rewards of two responses to one prompt.
    """
    spread = np.sqrt(np.mean(np.square(difference, dtype=np.float64), axis=0))  # (k,)
    varies = spread > 0
    scaled = difference[:, varies] / spread[varies]  # (n, varying)
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    counts = values > SMALLEST_EIGENVALUE * values.max(initial=0.0)
    roots = vectors[:, counts] / np.sqrt(values[counts])  # (varying, counted)
    weights = np.zeros(len(spread))
    weights[varies] = roots @ vectors[:, counts].sum(axis=0) / spread[varies]
    return weights


def _fit_convex(pairs: PairRewards) -> dict[str, Weights]:
    return {"weight": logistic_weights(pairs.difference, pairs.weight, signed=False)}


def _fit_signed(pairs: PairRewards) -> dict[str, Weights]:
    return {"weight": logistic_weights(pairs.difference, pairs.weight, signed=True)}


def _fit_decorrelated(pairs: PairRewards) -> dict[str, Weights]:
    return {"weight": decorrelated_weights(pairs.difference)}


def _fit_best_objective(pairs: PairRewards) -> dict[str, Weights]:
    accuracies = pairs.weight @ (pairs.difference > 0)  # (k,)
    return {"weight": np.eye(len(accuracies))[accuracies.argmax()]}


def _weighted(responses: Responses, fitted: Arrays) -> Scores:
    return responses.rewards.astype(np.float64) @ fitted["weight"]


def _uniform(responses: Responses, fitted: Arrays) -> Scores:  # noqa: ARG001 - the signature of rules
    return responses.rewards.astype(np.float64).mean(axis=-1)


def _fixed(responses: Responses, fitted: Arrays) -> NDArray[np.float64]:
    return np.broadcast_to(fitted["weight"].astype(np.float64), responses.rewards.shape)


def _equal(responses: Responses, fitted: Arrays) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of rules
    return np.full(responses.rewards.shape, 1.0 / responses.rewards.shape[-1])


UNIFORM = Rule("same objectives, equal weights", "uniform", _uniform, reward_weights=_equal)
"""Every objective counts the same: the gate at infinite temperature."""

CONVEX = Rule("best fixed weights, none negative", "fixed, ≥ 0", _weighted, _fit_convex, _fixed)
SIGNED = Rule("best fixed weights, any sign", "fixed, signed", _weighted, _fit_signed, _fixed)
DECORRELATED = Rule("equal weights, decorrelated", "RRD", _weighted, _fit_decorrelated, _fixed)
BEST_OBJECTIVE = Rule("the best single objective", "one objective", _weighted, _fit_best_objective, _fixed)
"""Best on the training pairs."""
