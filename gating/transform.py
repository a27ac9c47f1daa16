"""The transform that takes verbosity out of rewards: r' = r - penalties.

A penalty is lambda times the verbosity of the response. Where verbosity is an objective, penalties are linear in the
rewards; where it is the length of the response, no matrix on rewards can give them. Every score of this project
computes r' here, but for `export/modeling_armorm.py`, which runs where nothing else is installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.settings import NO_VERBOSITY, RESPONSE_TOKENS

Column = NDArray[np.float64]
"""Shape (k,)."""


class MixedTransformError(Exception):
    """The transform subtracts more than one multiple of one verbosity, which no table of lambdas can show."""


@dataclass(frozen=True, slots=True)
class Transform:
    """Penalties as a matrix on rewards, as multiples of the response's length, or as their sum."""

    on_rewards: NDArray[np.float64]
    """(k, k) penalties of rewards r are r @ on_rewards: lambda in the row of the verbosity objective, 0 elsewhere."""
    on_length: Column | None = None
    """(k,) lambda per thousand tokens of the response; None where verbosity is not its length."""

    @classmethod
    def of_lambdas(cls, lambdas: Column, verbosity: str, objectives: Sequence[str]) -> "Transform":
        """The transform of fitted lambdas.

        Args:
            lambdas: (k,)
            verbosity: an objective, 'response_tokens' or 'none', as `debiasing.verbosity` names it.
            objectives: names of the k rewards.
        """
        k = len(objectives)
        on_rewards = np.zeros((k, k))
        if verbosity == RESPONSE_TOKENS:
            return cls(on_rewards, lambdas)
        if verbosity != NO_VERBOSITY:
            on_rewards[list(objectives).index(verbosity)] = lambdas
        return cls(on_rewards)

    @classmethod
    def of_matrix(cls, matrix: NDArray[np.float64], on_length: Column | None) -> "Transform":
        """The transform of a checkpoint: matrix (k, k) T of r' = r T, and lambda (k,) per thousand tokens, if any."""
        return cls(np.eye(len(matrix)) - matrix, on_length)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(k, k) T of r' = r T, the published checkpoint's `reward_transform_matrix`."""
        return np.eye(len(self.on_rewards)) - self.on_rewards

    def penalties(self, rewards: NDArray[np.floating], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        """Penalties that are subtracted from the rewards.

        Args:
            rewards: (n, k)
            tokens: (n,) lengths of the responses.

        Returns:
            (n, k) lambda times verbosity; a sum with a single term that is not zero, so rounded once.
        """
        penalties = rewards.astype(np.float64) @ self.on_rewards  # (n, k)
        if self.on_length is not None:
            penalties = penalties + tokens[:, None] / 1000.0 * self.on_length
        return penalties

    def apply(self, rewards: NDArray[np.floating], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
        """Rewards (n, k) of responses with lengths (n,), after debiasing. Shape (n, k)."""
        return rewards - self.penalties(rewards, tokens)

    def coefficients(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Coefficients of the rewards, before debiasing, in the score: weights (n, k) of the gate, result (n, k).

        The score is coefficients · rewards, less a penalty of the length, which no error of a head moves.
        """
        weights = weights.astype(np.float64)
        return weights - weights @ self.on_rewards.T

    def terms(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Coefficients of the rewards in each contribution: weights (k,) of the gate, result (k contributions, k).

        Their sum over the contributions is `coefficients`.
        """
        return weights.astype(np.float64)[:, None] * self.matrix.T

    def verbosity(self, objectives: Sequence[str]) -> str:
        """The verbosity that is taken out: an objective, 'response_tokens' or 'none'.

        Raises:
            MixedTransformError: it is more than one of them.
        """
        row = self._row()
        if self.on_length is not None:
            return RESPONSE_TOKENS
        return NO_VERBOSITY if row is None else objectives[row]

    def lambdas(self) -> Column:
        """(k,) lambda of each objective, 0 where nothing is taken out.

        Raises:
            MixedTransformError: there is more than one for an objective.
        """
        row = self._row()
        if self.on_length is not None:
            return self.on_length
        return np.zeros(len(self.on_rewards)) if row is None else self.on_rewards[row]

    def _row(self) -> int | None:
        """Row of the verbosity objective, if there is one."""
        rows = np.flatnonzero(self.on_rewards.any(axis=-1))
        if len(rows) + (self.on_length is not None) > 1:
            raise MixedTransformError("more than one verbosity is taken out of the rewards")
        return int(rows[0]) if len(rows) else None
