"""The fitted reward model at run time: from features of the backbone to a score, term by term.

Evaluation, export, explanations, `armorm score` and the server all score with `RewardParts`, read from a run's arrays
or from an exported folder.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gating.gate import Gate
from gating.rules.rule import Arrays
from gating.settings import GateSettings
from gating.transform import Transform

GATE_PREFIX = "gating."
"""Prefix of the gate's parameters, in a run's arrays and in the published checkpoint."""


def logistic(score: float) -> float:
    """1 / (1 + exp(-score)), without its overflow."""
    return 0.5 * (1.0 + math.tanh(score / 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One response's score, and the terms it is the sum of. All but `weights` are float64."""

    score: float
    """Sum of `contributions`, added in order, as a reader of the terms would add them."""
    rewards: NDArray[np.float64]
    """(k,) predictions of the heads, before debiasing; `Objective.raw` gives them on the scale of the ratings."""
    adjusted: NDArray[np.float64]
    """(k,) rewards after debiasing."""
    weights: NDArray[np.float32]
    """(k,) the gate's weights for the prompt."""
    gains: NDArray[np.float64]
    """(k,) weights times rewards."""
    penalties: NDArray[np.float64]
    """(k,) weights times verbosity penalties."""
    contributions: NDArray[np.float64]
    """(k,) gains less penalties."""
    prompt_tokens: int
    response_tokens: int

    @property
    def not_finite(self) -> str | None:
        """Name of the first result that is NaN or infinite, in the order of computation; None if all are finite."""
        results: dict[str, NDArray[Any]] = {
            "reward": self.rewards,
            "weight": self.weights,
            "adjusted reward": self.adjusted,
            "contribution": self.contributions,
            "score": np.asarray(self.score),
        }
        return next((name for name, values in results.items() if not np.isfinite(values).all()), None)

    @property
    def tokens(self) -> int:
        """Length of prompt and response together."""
        return self.prompt_tokens + self.response_tokens

    @property
    def activated(self) -> float:
        """The logistic function of the score, as servers of sequence classifiers return it."""
        return logistic(self.score)


@dataclass(frozen=True, slots=True)
class RewardParts:
    """Linear heads, transform and gate over features of the backbone."""

    objectives: tuple[str, ...]
    """Names of the k rewards."""
    weight: NDArray[np.float32]
    """(k, layers * hidden_size) linear heads."""
    transform: Transform
    gate: Gate

    @classmethod
    def of_arrays(
        cls,
        objectives: tuple[str, ...],
        weight: NDArray[np.float32],
        arrays: Arrays,
        verbosity: str,
        settings: GateSettings,
    ) -> "RewardParts":
        """The reward model of a run.

        Args:
            objectives: names of the k rewards.
            weight: (k, layers * hidden_size) the fitted heads.
            arrays: what training the gate stored: `lambda` and the gate's parameters below `gating.`.
            verbosity: an objective, 'response_tokens' or 'none'.
            settings: the shape of the gate.

        Raises:
            GateShapeError: the gate's parameters are not of this shape.
        """
        state = {name: torch.from_numpy(array) for name, array in below(arrays, GATE_PREFIX).items()}
        gate = Gate.of_state(state, weight.shape[-1], len(objectives), settings)
        return cls(objectives, weight, Transform.of_lambdas(arrays["lambda"], verbosity, objectives), gate)

    def arrays(self) -> list[NDArray[Any]]:
        """All numbers of the model, in a fixed order."""
        on_length = [] if self.transform.on_length is None else [self.transform.on_length]
        gate = (value.numpy() for value in self.gate.state_dict().values())
        return [self.weight, self.transform.matrix, *on_length, *gate]

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features of responses (n, d) as rewards (n, k); products in float32, as in a run's evaluation."""
        return (features @ self.weight.T).astype(np.float64)

    def weights(self, prompts: NDArray[np.float32]) -> NDArray[np.float32]:
        """The gate's weights for features of prompts (n, d). Shape (n, k)."""
        with torch.inference_mode():
            weights: NDArray[np.float32] = self.gate(torch.from_numpy(prompts)).numpy()
        return weights

    def score(
        self, rewards: NDArray[np.float64], weights: NDArray[np.float32], prompt_tokens: int, response_tokens: int
    ) -> Scored:
        """The score of one response, in float64.

        Args:
            rewards: (k,) of the response.
            weights: (k,) of its prompt.
            prompt_tokens: length of the prompt.
            response_tokens: length of the response.
        """
        taken = self.transform.penalties(rewards[None], np.asarray([response_tokens]))[0]  # (k,)
        coefficients = weights.astype(np.float64)  # (k,)
        gains, penalties = coefficients * rewards, coefficients * taken  # (k,) each
        contributions = gains - penalties
        score = 0.0
        for term in contributions.tolist():  # in order: numpy would add pairwise
            score += term
        return Scored(
            score, rewards, rewards - taken, weights, gains, penalties, contributions, prompt_tokens, response_tokens
        )


def below(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
