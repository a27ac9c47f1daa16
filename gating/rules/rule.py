"""What an aggregation rule is: fitted on pairs' rewards, then one score for each response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
"""What fitting a rule leaves: arrays by name, stored beside the gate's."""

Scores = NDArray[np.float64]
"""Shape (n,)."""


@dataclass(frozen=True, slots=True)
class Responses:
    """What a rule may look at, for n responses."""

    rewards: NDArray[np.float32]
    """(n, k) adjusted rewards r'."""
    weights: NDArray[np.float32]
    """(n, k) the gate's weights for each response's prompt."""
    task: NDArray[np.int64]
    """(n,) the task that each response's prompt is routed to."""
    bradley_terry: NDArray[np.float64]
    """(n,) scores of the plain Bradley-Terry head."""
    tokens: NDArray[np.int32]
    """(n,) length of each response."""


@dataclass(frozen=True, slots=True)
class PairRewards:
    """What rules are fitted on: n decided training pairs."""

    difference: NDArray[np.float32]
    """(n, k) adjusted rewards of the chosen response less those of the rejected."""
    task: NDArray[np.int64]
    """(n,) the task that each pair's prompt is routed to."""
    tasks: int
    """How many tasks there are."""
    weight: NDArray[np.float64]
    """(n,) weight of each pair in a loss."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make a score of rewards."""

    title: str
    """What tables call it."""
    method: str
    """What it is known as."""
    scores: Callable[[Responses, Arrays], Scores]
    """Scores of responses, from what `fit` left."""
    fit: Callable[[PairRewards], dict[str, NDArray[Any]]] = lambda pairs: {}  # noqa: ARG005
    """Fits what the rule needs; nothing, for most."""
