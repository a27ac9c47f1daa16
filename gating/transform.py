"""The transform that takes variables such as length out of rewards: r' = r - penalties.

The penalty of a reward is the sum of its lambdas times the variables of the response. Where a variable is an objective,
its penalties are linear in the rewards; where it is measured in the response, no matrix on rewards can give them. Every
score of this project computes r' here, but for `export/modeling_armorm.py`, which runs where nothing else is installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gating.measured import Measured
from gating.settings import MEASURED

Column = NDArray[np.float64]
"""Shape (k,)."""


@dataclass(frozen=True, slots=True)
class Transform:
    """Penalties as a matrix on rewards, as multiples of measured variables, or as their sum."""

    on_rewards: NDArray[np.float64]
    """(k, k) penalties of rewards r are r @ on_rewards: lambda in the row of a variable that is an objective, 0
    elsewhere."""
    on_measured: Mapping[str, Column] = field(default_factory=dict)
    """Variable of `MEASURED` -> (k,) lambda on its value, as `Measured.value` gives it."""

    @classmethod
    def of_lambdas(
        cls, lambdas: NDArray[np.float64], variables: Sequence[str], objectives: Sequence[str]
    ) -> "Transform":
        """The transform of fitted lambdas.

        Args:
            lambdas: (m, k)
            variables: names of the m rows.
            objectives: names of the k rewards.
        """
        k = len(objectives)
        on_rewards, on_measured = np.zeros((k, k)), {}
        for name, row in zip(variables, lambdas.reshape(-1, k), strict=True):
            if name in MEASURED:
                on_measured[name] = row
            else:
                on_rewards[list(objectives).index(name)] = row
        return cls(on_rewards, on_measured)

    @classmethod
    def of_matrix(cls, matrix: NDArray[np.float64], on_measured: Mapping[str, Column]) -> "Transform":
        """The transform of a checkpoint: matrix (k, k) T of r' = r T, and lambdas (k,) of measured variables."""
        return cls(np.eye(len(matrix)) - matrix, on_measured)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(k, k) T of r' = r T, the published checkpoint's `reward_transform_matrix`."""
        return np.eye(len(self.on_rewards)) - self.on_rewards

    def variables(self, objectives: Sequence[str]) -> tuple[str, ...]:
        """Names of the m variables that are taken out, in the order of `settings.in_order`."""
        measured = (name for name in MEASURED if name in self.on_measured)
        return (*measured, *(objectives[row] for row in self._rows()))

    def lambdas(self) -> NDArray[np.float64]:
        """(m, k) lambda of each objective on each variable."""
        measured = [self.on_measured[name] for name in MEASURED if name in self.on_measured]
        return np.array([*measured, *self.on_rewards[self._rows()]]).reshape(-1, len(self.on_rewards))

    def values(self, rewards: NDArray[np.floating], measured: Measured) -> NDArray[np.float64]:
        """The variables of responses with rewards (n, k). Shape (n, m)."""
        columns = [measured.value(name) for name in MEASURED if name in self.on_measured]
        columns += list(rewards[:, self._rows()].T)
        return np.array(columns, dtype=np.float64).reshape(len(columns), len(rewards)).T

    def penalties(self, rewards: NDArray[np.floating], measured: Measured) -> NDArray[np.float64]:
        """Penalties that are subtracted from the rewards.

        Args:
            rewards: (n, k)
            measured: measurements of the n responses.

        Returns:
            (n, k) sum of lambda times each variable, from the first to the last; one of them alone is rounded once.
        """
        total = np.zeros(rewards.shape)
        for value, row in zip(self.values(rewards, measured).T, self.lambdas(), strict=True):
            total += value[:, None] * row
        return total

    def apply(self, rewards: NDArray[np.floating], measured: Measured) -> NDArray[np.float64]:
        """Rewards (n, k) of n responses after debiasing. Shape (n, k)."""
        return rewards - self.penalties(rewards, measured)

    def coefficients(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Coefficients of the rewards, before debiasing, in the score: weights (n, k) of the gate, result (n, k).

        The score is coefficients · rewards, less penalties of what is measured, which no error of a head moves.
        """
        weights = weights.astype(np.float64)
        return weights - weights @ self.on_rewards.T

    def terms(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Coefficients of the rewards in each contribution: weights (k,) of the gate, result (k contributions, k).

        Their sum over the contributions is `coefficients`.
        """
        return weights.astype(np.float64)[:, None] * self.matrix.T

    def _rows(self) -> NDArray[np.int64]:
        """Rows of the objectives that are variables."""
        return np.flatnonzero(self.on_rewards.any(axis=-1))
