"""The interface of an aggregation rule: fitted on reward differences of pairs, it scores responses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name, as safetensors hold them."""

Scores = NDArray[np.float64]
"""Shape (n,)."""


@dataclass(frozen=True, slots=True)
class Responses:
    """The inputs of a rule for n responses."""

    rewards: NDArray[np.float32]
    """(n, k) adjusted rewards r'."""
    weights: NDArray[np.float32]
    """(n, k) the gate's weights for each response's prompt."""
    task: NDArray[np.int64]
    """(n,) the task that each response's prompt is routed to."""
    bradley_terry: NDArray[np.float64]
    """(n,) scores by the plain Bradley-Terry head."""
    tokens: NDArray[np.integer]
    """(n,) length of each response."""
    before_debiasing: NDArray[np.float32]
    """(n, k) rewards r, of which r' is made."""


@dataclass(frozen=True, slots=True)
class PairRewards:
    """The inputs of fitting a rule: n decided training pairs."""

    difference: NDArray[np.float32]
    """(n, k) adjusted rewards of the chosen response less those of the rejected."""
    task: NDArray[np.int64]
    """(n,) the task that each pair's prompt is routed to."""
    tasks: int
    """Number of tasks."""
    weight: NDArray[np.float64]
    """(n,) weight of each pair in a loss."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make a score of rewards. Most rules are not fitted; their `fit` returns no arrays."""

    title: str
    """Name in tables."""
    method: str
    """Name of the method in the literature."""
    scores: Callable[[Responses, Arrays], Scores]
    """Scores (n,) of responses, given the arrays that `fit` returned."""
    fit: Callable[[PairRewards], dict[str, NDArray[Any]]] = lambda pairs: {}  # noqa: ARG005
    """Fits the rule; its arrays are stored with the gate's."""
    reward_weights: Callable[[Responses, Arrays], NDArray[np.float64]] | None = None
    """Weights (n, k) whose sum with the adjusted rewards is the score, from what a prompt alone decides; None where the
    score is no such sum, so that the heads' errors say nothing of it."""
