"""Uncertainty of a score: its standard error, its leverage, and whether the response is like the rated ones.

The ridge's weights have the posterior covariance s² (A + alpha I)^-1, with s² the variance of a rating around its
head (Hoerl and Kennard 1970; Bishop 2006, eq. 3.54). So the score of features x has the standard error s sqrt(h),
with the leverage h = x' (A + alpha I)^-1 x. A is that of the training rows alone: the validation rows, which
measure s² and set the threshold, are then as new to it as future responses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from cache import FeatureStore
from cache.keys import key_column
from heads.results import UncertaintySummary
from heads.ridge.subset import VALIDATION
from heads.ridge.symmetric import Real, add_packed, packed_length, packed_width

FEWEST_ROWS = 20
"""Fewer validation rows than this set no threshold."""

BLOCK_ROWS = 1024
"""Rows whose leverage is computed at once."""

CALIBRATION_ROWS = 1024
"""Validation rows of each rating set, at most: a quantile of 0.99 then has ten rows beyond it."""


@dataclass(slots=True)
class Uncertainty:
    """Standard errors and familiarity for the heads of one fit.

    Attributes:
        factors: (f, d (d + 1) / 2) float32, packed Cholesky factors L with L L' = A + alpha I.
        factor_of: (k,) index of each objective's factor.
        noise: (k,) s², mean squared error on the validation rows.
        thresholds: (f,) leverage beyond which a response is unlike the factor's rows; infinite where too few
            validation rows set it.
        quantile: fraction of the validation rows below the threshold.
        first_column: first of the d columns that the heads read, where rows hold several layers.
    """

    factors: Real
    factor_of: NDArray[np.int64]
    noise: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    quantile: float
    first_column: int = 0

    def leverages(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Leverage of responses under every factor: features (n, layers * d), result (n, f)."""
        width = packed_width(self.factors.shape[-1])
        features = features[:, self.first_column : self.first_column + width]  # (n, d)
        leverages = np.empty((len(features), len(self.factors)))
        for number, factor in enumerate(self.factors):
            lower = unpacked(factor)  # (d, d)
            for start in range(0, len(features), BLOCK_ROWS):
                some = features[start : start + BLOCK_ROWS]
                leverages[start : start + len(some), number] = leverage(lower, some)
        return leverages

    def standard_errors(self, leverages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard error of each objective's score: (n, f) leverages, result (n, k)."""
        errors: NDArray[np.float64] = np.sqrt(self.noise * leverages[:, self.factor_of])
        return errors

    def unfamiliar(self, leverages: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each response is unlike the rated rows of every factor: (n, f) leverages, result (n,) bool.

        A response to a coding prompt is far from the safety ratings and close to the code ratings: it is unfamiliar
        only if it is far from all of them.
        """
        return np.all(leverages > self.thresholds, axis=-1)

    def set_thresholds(self, features: NDArray[np.floating[Any]], rated: NDArray[np.bool_]) -> None:
        """Set the thresholds from validation rows.

        Args:
            features: (n, layers * d)
            rated: (n, k) whether each row rates each objective.
        """
        leverages = self.leverages(features)
        for number in range(len(self.factors)):
            rows = rated[:, self.factor_of == number].any(axis=-1)  # (n,)
            if rows.sum() >= FEWEST_ROWS:
                self.thresholds[number] = np.quantile(leverages[rows, number], self.quantile, method="higher")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a file."""
        return {
            "factors": self.factors,
            "factor_of": self.factor_of,
            "noise": self.noise,
            "thresholds": self.thresholds,
            "quantile": np.array([self.quantile]),
            "first_column": np.array([self.first_column]),
        }

    def summary(self) -> UncertaintySummary:
        """The figures that are small enough for `heads.json`."""
        thresholds, noise = tuple(self.thresholds.tolist()), tuple(self.noise.tolist())
        return UncertaintySummary(self.quantile, len(self.factors), thresholds, noise)

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Uncertainty":
        """Inverse of `arrays`."""
        quantile, first = float(arrays["quantile"][0]), int(arrays["first_column"][0])
        return cls(arrays["factors"], arrays["factor_of"], arrays["noise"], arrays["thresholds"], quantile, first)


def calibrate(
    uncertainty: Uncertainty, store: FeatureStore, examples: pl.DataFrame, objectives: Sequence[str], seed: int
) -> None:
    """Set the thresholds of familiarity from a random sample of each rating set's validation rows.

    Args:
        uncertainty: belongs to the heads of `objectives`; changed in place.
        store: holds the rows' features.
        examples: table of rated responses.
        objectives: names of the k heads, in their order.
        seed: seed of the sample.
    """
    validation = examples.filter(pl.col("split") == VALIDATION)
    rng = np.random.default_rng(abs(seed))
    rows: list[int] = []
    for name in sorted(validation["dataset"].unique()):
        of_set = np.flatnonzero(validation["dataset"].to_numpy() == name)
        rows += rng.choice(of_set, min(len(of_set), CALIBRATION_ROWS), replace=False).tolist()
    sample = validation[sorted(rows)]
    features = store.gather(key_column(sample["response_key"]))  # (n, layers, d)
    rated = np.column_stack([sample[name].is_not_null().to_numpy() for name in objectives])  # (n, k)
    uncertainty.set_thresholds(features.reshape(len(features), -1), rated)


def leverage(lower: Real, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """X' (L L')^-1 x for each row: lower (d, d), features (n, d), result (n,)."""
    half = solve_triangular(lower, features.T.astype(lower.dtype), lower=True, check_finite=False)  # (d, n)
    return np.square(half, dtype=np.float64).sum(axis=0)


def packed(lower: Real) -> NDArray[np.float32]:
    """The lower triangle of (d, d), packed, in float32: leverage needs three digits only."""
    rows = np.empty(packed_length(len(lower)), dtype=np.float32)
    start = 0
    for column, length in enumerate(range(len(lower), 0, -1)):
        rows[start : start + length] = lower[column:, column]
        start += length
    return rows


def unpacked(factor: Real) -> Real:
    """A packed lower triangle as (d, d), with zeros above it."""
    lower = np.zeros((packed_width(len(factor)),) * 2, dtype=factor.dtype, order="F")
    add_packed(factor, lower)
    return lower
