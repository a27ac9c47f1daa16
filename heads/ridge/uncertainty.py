"""Uncertainty of rewards at run time: standard errors, of sums and differences too, and whether a response is familiar.

The ridge's weights have the posterior covariance s² (A + alpha I)^-1, with s² the variance of a rating around its
head (Hoerl and Kennard 1970; Bishop 2006, eq. 3.54). So the reward of features x has the standard error s sqrt(h),
with the leverage h = x' (A + alpha I)^-1 x. A is that of the training rows alone: the validation rows, which
measure s² and the familiar leverages, are then as new to it as future responses.

Rewards i and j of one response have the covariance E_ij sqrt(h_i h_j). E is the covariance of their ratings' noise,
times the share of training rows that they have in common (`heads/ridge/error_covariance.py`). This is exact for
objectives with the same rows and alpha, where h_i = h_j; with other alphas the root of the product is the bound of
Cauchy and Schwarz. Heads without a common row count as independent. A difference of two responses has the leverage of
the difference of their features: errors that they share cancel.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.results import UncertaintySummary

Real = NDArray[np.floating[Any]]

NOT_KNOWN = -1.0
"""Threshold and quantiles of a factor that too few validation rows set; leverages are never negative."""

PERCENTILES = 101
"""Number of quantiles of familiar leverages that are kept, from the least to the largest."""

BLOCK_ROWS = 1024
"""Rows whose leverage is computed at once."""


class OtherArraysError(Exception):
    """Arrays are not those of an `Uncertainty`; the message names one."""


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Standard errors and familiarity for k heads with f factors.

    Heads with the same rows and alpha share a factor; the last factor is that of all rated rows, and no head's.
    """

    whitening: NDArray[np.float32]
    """(f, m, c) matrices W: |W x|² is the leverage of the c columns x that the heads read."""
    factor_of: NDArray[np.int64]
    """(k,) index of each objective's factor."""
    covariance: NDArray[np.float64]
    """(k, k) E, positive semi-definite; its diagonal is the variance of a rating around its head."""
    quantiles: NDArray[np.float64]
    """(f, 101) percentiles of the validation rows' leverages, from the least to the largest; or `NOT_KNOWN`."""
    thresholds: NDArray[np.float64]
    """(f,) leverage beyond which a response is unlike the factor's rows; or `NOT_KNOWN`. The last: unlike all rows."""
    quantile: float
    """Fraction of the validation rows below the threshold."""
    first_column: int = 0
    """First of the c columns that the heads read, where rows hold several layers."""

    @property
    def tells_familiar(self) -> bool:
        """Whether any factor has a threshold."""
        return bool(self.thresholds[-1] >= 0.0)

    # Leverages

    def halves(self, features: Real) -> NDArray[np.float32]:
        """W x of responses, whose squared lengths are the leverages: features (n, layers * d), result (n, f, m).

        Linear: the halves of a difference of features are the difference of the halves.
        """
        columns = self._columns(features)  # (n, c)
        factors, rows, _ = self.whitening.shape
        halves = np.empty((len(columns), factors, rows), dtype=np.float32)
        for number, whitening in enumerate(self.whitening):
            halves[:, number] = columns @ whitening.T
        return halves

    def leverages(self, features: Real) -> NDArray[np.float64]:
        """Leverage of responses under every factor: features (n, layers * d), result (n, f)."""
        columns = self._columns(features)  # (n, c)
        leverages = np.empty((len(columns), len(self.whitening)))
        for start in range(0, len(columns), BLOCK_ROWS):
            some = columns[start : start + BLOCK_ROWS]
            for number, whitening in enumerate(self.whitening):
                leverages[start : start + len(some), number] = squared_lengths(some @ whitening.T)
        return leverages

    def margin_leverages(self, first: Real, second: Real) -> NDArray[np.float64]:
        """Leverage of the difference of two responses of one prompt: features (n, layers * d) each, result (n, f)."""
        return self.leverages(first - second)

    def pairwise_leverages(self, features: Real) -> NDArray[np.float64]:
        """Leverage of the differences of n responses, each with each: features (n, layers * d), result (n, n, f).

        For many responses of one prompt, each of which is multiplied once.
        """
        centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)  # so that little cancels
        return between_halves(self.halves(centred))

    def _columns(self, features: Real) -> NDArray[np.float32]:
        width = self.whitening.shape[-1]
        return features[:, self.first_column : self.first_column + width].astype(np.float32, copy=False)

    # Standard errors

    def standard_errors(self, leverages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard error of each reward, or of each reward's difference: (n, f) leverages, result (n, k)."""
        errors: NDArray[np.float64] = np.sqrt(np.diagonal(self.covariance) * leverages[:, self.factor_of])
        return errors

    def combined_errors(self, leverages: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard error of the sum of coefficient × reward, which is a score; or of its difference, a margin.

        Args:
            leverages: (n, f) of responses, or of the differences of two responses of one prompt.
            coefficients: (n, k)

        Returns:
            (n,)
        """
        terms = coefficients * np.sqrt(leverages[:, self.factor_of])  # (n, k)
        variance = ((terms @ self.covariance) * terms).sum(axis=-1)  # (n,)
        return np.sqrt(np.maximum(variance, 0.0))

    # Familiarity

    def unfamiliar(self, leverages: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each response is unlike all rated rows, by the last factor: (n, f) leverages, result (n,) bool.

        The last factor is that of the rows of all sets together. Where it has no threshold, none is unfamiliar.
        """
        if not self.tells_familiar:
            return np.zeros(len(leverages), dtype=bool)
        return leverages[:, -1] > self.thresholds[-1]

    def places(self, leverages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fraction of each factor's validation rows with a smaller leverage: (n, f) leverages, result (n, f).

        NaN where too few rows tell.
        """
        percent = np.linspace(0.0, 1.0, self.quantiles.shape[-1])
        places = np.full(leverages.shape, np.nan)
        for number, known in enumerate(self.quantiles):
            if known[0] >= 0.0:
                places[:, number] = np.interp(leverages[:, number], known, percent)
        return places

    # Storage

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a file."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: np.atleast_1d(np.asarray(value)) for name, value in found.items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Uncertainty":
        """Inverse of `arrays`.

        Raises:
            OtherArraysError: one is missing, as in a file of an earlier version.
        """
        missing = [field.name for field in fields(cls) if field.name not in arrays]
        if missing:
            raise OtherArraysError(f"there is no {missing[0]}")
        given = {field.name: arrays[field.name] for field in fields(cls)}
        one = {"quantile": float(arrays["quantile"][0]), "first_column": int(arrays["first_column"][0])}
        return cls(**(given | one))  # type: ignore[arg-type]

    def summary(self) -> UncertaintySummary:
        """The figures that are small enough for `heads.json`."""
        thresholds = tuple(np.where(self.thresholds >= 0.0, self.thresholds, np.nan).tolist())
        noise = tuple(np.diagonal(self.covariance).tolist())
        return UncertaintySummary(self.quantile, len(self.whitening), thresholds, noise)


def squared_lengths(halves: Real) -> NDArray[np.float64]:
    """Squared length of each row: (..., m), result (...)."""
    lengths: NDArray[np.float64] = np.einsum("...m,...m->...", halves, halves, dtype=np.float64)
    return lengths


def between_halves(halves: Real) -> NDArray[np.float64]:
    """Leverage of the differences of n responses, each with each: halves (..., n, f, m), result (..., n, n, f)."""
    centred = halves.astype(np.float64)
    centred -= centred.mean(axis=-3, keepdims=True)  # so that little cancels
    centred = np.swapaxes(centred, -3, -2)  # (..., f, n, m)
    products = centred @ np.swapaxes(centred, -2, -1)  # (..., f, n, n)
    squares = np.diagonal(products, axis1=-2, axis2=-1)  # (..., f, n)
    leverages = np.maximum(squares[..., :, None] + squares[..., None, :] - 2.0 * products, 0.0)
    return np.moveaxis(leverages, -3, -1)
