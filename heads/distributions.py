"""Distributions of ratings, one a row: what a head of any kind says about a rating it has not seen.

A row is a set of weighted atoms in rising order. Distributions over rating levels are exact in this form, a continuous
one is its quantiles at `LEVELS`, and a mixture of rows is the union of their atoms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_TAIL = (0.0, 1e-4, 3e-4, 1e-3, 3e-3)
_EDGES = np.concatenate([_TAIL, np.arange(1, 100) / 100.0, 1.0 - np.array(_TAIL[::-1])])
LEVELS = (_EDGES[1:] + _EDGES[:-1]) / 2.0
"""(108,) levels of the quantiles that stand for a continuous distribution: the middles of cells of a hundredth, and of
narrower ones in the tails."""
WEIGHTS = np.diff(_EDGES)
"""(108,) probability of each of those cells."""

TOLERANCE = 1e-9
"""Two sums of weights are equal within this."""


@dataclass(frozen=True, slots=True, eq=False)
class Distributions:
    """Distributions of one number each, in the order of some rows."""

    values: NDArray[np.float64]
    """(n, m) atoms, rising along a row."""
    weights: NDArray[np.float64]
    """(n, m) their probabilities, which sum to 1."""

    @classmethod
    def of_atoms(cls, values: NDArray[np.float64], weights: NDArray[np.float64]) -> "Distributions":
        """Distributions with atoms (n, m), in any order, and probabilities (n, m) or (m,)."""
        weights = np.broadcast_to(weights, values.shape)
        order = np.argsort(values, axis=-1, kind="stable")  # (n, m)
        return cls(np.take_along_axis(values, order, axis=-1), np.take_along_axis(weights, order, axis=-1))

    @classmethod
    def of_levels(cls, levels: NDArray[np.float64], probabilities: NDArray[np.float64]) -> "Distributions":
        """Distributions over the same rising levels (m,), with probabilities (n, m)."""
        return cls(np.broadcast_to(levels, probabilities.shape), probabilities)

    @classmethod
    def normal(cls, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> "Distributions":
        """Normal distributions with means and standard deviations (n,)."""
        return cls._on_grid(mean[:, None] + deviation[:, None] * ndtri(LEVELS))

    @classmethod
    def of_residuals(cls, predicted: NDArray[np.float64], residuals: NDArray[np.float64]) -> "Distributions":
        """Predictions (n,), each with the distribution of the residuals (r,) of other rows around it."""
        return cls._on_grid(predicted[:, None] + np.quantile(residuals, LEVELS))

    @classmethod
    def of_quantiles(cls, levels: Sequence[float], quantiles: NDArray[np.float64]) -> "Distributions":
        """Distributions with the given quantiles, and straight lines between them.

        Quantiles that cross are sorted, which brings each nearer to the true one (Chernozhukov, Fernández-Val and
        Galichon 2010, Econometrica 78, proposition 4). Beyond the outer levels, the outer lines go on.

        Args:
            levels: (q,) rising, at least two.
            quantiles: (n, q)
        """
        known, rising = np.asarray(levels), np.sort(quantiles, axis=-1)
        left = np.clip(np.searchsorted(known, LEVELS) - 1, 0, len(known) - 2)  # (m,)
        share = (LEVELS - known[left]) / (known[left + 1] - known[left])  # (m,), outside 0 to 1 in the tails
        return cls._on_grid(rising[:, left] * (1.0 - share) + rising[:, left + 1] * share)

    @classmethod
    def _on_grid(cls, values: NDArray[np.float64]) -> "Distributions":
        return cls(values, np.broadcast_to(WEIGHTS, values.shape))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Distributions":
        """The distributions of some rows."""
        return Distributions(self.values[rows], self.weights[rows])

    @property
    def mean(self) -> NDArray[np.float64]:
        """Shape (n,)."""
        return np.asarray((self.values * self.weights).sum(axis=-1))

    @property
    def variance(self) -> NDArray[np.float64]:
        """Shape (n,)."""
        return np.asarray((np.square(self.values - self.mean[:, None]) * self.weights).sum(axis=-1))

    def quantile(self, level: float) -> NDArray[np.float64]:
        """The quantile at one level, the middle of the gap where it is not unique. Shape (n,)."""
        reached = np.cumsum(self.weights, axis=-1)  # (n, m)
        last = self.values.shape[-1] - 1
        at = [np.minimum((reached < level + slack).sum(axis=-1), last) for slack in (-TOLERANCE, TOLERANCE)]
        lower, upper = (np.take_along_axis(self.values, place[:, None], axis=-1)[:, 0] for place in at)
        return np.asarray((lower + upper) / 2.0)

    def cdf(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of at most `at` (n,). Shape (n,)."""
        return np.asarray((self.weights * (self.values <= at[:, None])).sum(axis=-1))

    def crps(self, observed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Continuous ranked probability score of the observed ratings (n,), in their unit; smaller is better.

        E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007, eq. 21), which is the absolute error of a point forecast.
        """
        distance = (self.weights * np.abs(self.values - observed[:, None])).sum(axis=-1)  # (n,)
        reached = np.cumsum(self.weights, axis=-1)  # (n, m)
        spread = (self.weights * self.values * (2.0 * reached - self.weights - 1.0)).sum(axis=-1)  # (n,)
        return np.asarray(distance - spread)

    def pit_histogram(self, observed: NDArray[np.float64], bins: int = 10) -> NDArray[np.float64]:
        """Histogram of the probability integral transform of the observed ratings (n,): flat where calibrated.

        Where the distribution has an atom at the rating, the transform is spread evenly over the atom's probability
        (Czado, Gneiting and Held 2009, eq. 2), so that no random number is needed.

        Returns:
            (bins,) fractions, which sum to 1.
        """
        upper = self.cdf(observed)  # (n,)
        atom = (self.weights * (self.values == observed[:, None])).sum(axis=-1)  # (n,)
        edges = np.arange(1, bins) / bins  # (bins - 1,)
        above = edges[:, None] - (upper - atom)  # (bins - 1, n)
        step = np.where(np.abs(above) <= TOLERANCE, 0.5, above > 0)
        share = np.where(atom > TOLERANCE, np.clip(above / np.maximum(atom, TOLERANCE), 0.0, 1.0), step)
        return np.diff(share.mean(axis=-1), prepend=0.0, append=1.0)
