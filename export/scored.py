"""What scoring a conversation gives: its score taken apart, or the reason why there is none."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class NotScorableError(Exception):
    """This conversation has no score; the message is the reason, one sentence's worth without the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One response's score, and what it is the sum of."""

    score: float
    """The float64 sum of `contributions`."""
    rewards: NDArray[np.float64]
    """(k,) what the heads say, before verbosity is taken out; `Objective.raw` reads it back on the rating scale."""
    adjusted: NDArray[np.float64]
    """(k,) behind the transform."""
    weights: NDArray[np.float32]
    """(k,) the gate's, for the prompt."""
    contributions: NDArray[np.float64]
    """(k,) weights times adjusted rewards."""
    tokens: int
    """Of prompt and response together."""
    prompt_tokens: int

    @property
    def activated(self) -> float:
        """The score through a sigmoid, as servers of sequence classifiers give it."""
        return 0.5 * (1.0 + math.tanh(self.score / 2.0))  # the same, and no large score overflows
