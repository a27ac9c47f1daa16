"""Split-conformal intervals of ratings: they contain the asked fraction of new ratings, whatever the noise is like.

Half of the validation rows calibrate. With residuals r of heads that saw neither half, the interval of a new rating is
its prediction ± the ceil((n + 1) coverage)-th smallest |r| (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, section
2.2). It holds on average over rows like those that calibrated. Where leverages are known, |r| / sqrt(1 + leverage)
takes the place of |r| (locally weighted; Lei et al. 2018, section 5.2): a ridge's error grows by this factor away from
its rows, and unlike responses get wider intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ResponseIntervals:
    """Intervals of the ratings of one response, on the scale of rewards."""

    coverage: float
    """Fraction of new ratings that the intervals were made to contain."""
    ends: NDArray[np.float64]
    """(k, 2) lower and upper ends; NaN for an objective with too few calibration rows."""

    def pairs(self) -> list[tuple[float, float] | None]:
        """The ends as JSON holds them: None in place of NaN."""
        return [None if math.isnan(low) else (low, high) for low, high in self.ends.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class ConformalIntervals:
    """Half-widths of the intervals of k objectives' ratings, on the scale of rewards."""

    coverage: float
    """Fraction of new ratings that the intervals were made to contain."""
    half_width: NDArray[np.float64]
    """(k,) where leverages are not known; NaN for an objective with too few rows."""
    leverage_half_width: NDArray[np.float64]
    """(k,) of a response with leverage 0; NaN for an objective with too few rows, or without leverages."""
    factor_of: NDArray[np.int64]
    """(k,) index into a response's leverages, of the factor that belongs to each objective."""

    def interval(
        self, rewards: NDArray[np.float64], leverages: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Lower and upper ends for rewards (n, k), with leverages (n, f) if they are known. Shape (n, k, 2).

        NaN for an objective with too few rows. The ends may lie outside the scale of the ratings.
        """
        half = np.broadcast_to(self.half_width, rewards.shape)  # (n, k)
        if leverages is not None:
            half = self.leverage_half_width * np.sqrt(1.0 + leverages[:, self.factor_of])
        return np.stack([rewards - half, rewards + half], axis=-1)

    def of_response(
        self, rewards: NDArray[np.float64], leverages: NDArray[np.float64] | None = None
    ) -> ResponseIntervals:
        """Intervals of one response with rewards (k,), and leverages (f,) if they are known."""
        ends = self.interval(rewards[None], None if leverages is None else leverages[None])[0]  # (k, 2)
        return ResponseIntervals(self.coverage, ends)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a file."""
        return {
            "coverage": np.array([self.coverage]),
            "half_width": self.half_width,
            "leverage_half_width": self.leverage_half_width,
            "factor_of": self.factor_of,
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "ConformalIntervals":
        """Inverse of `arrays`."""
        factor_of = arrays["factor_of"].astype(np.int64)
        return cls(float(arrays["coverage"][0]), arrays["half_width"], arrays["leverage_half_width"], factor_of)


def fewest_rows(coverage: float) -> int:
    """Smallest number of calibration rows with which an interval exists."""
    return math.ceil(coverage / (1.0 - coverage) - 1e-9)


def half_width(errors: NDArray[np.float64], coverage: float) -> float:
    """The half-width from absolute errors (n,) of calibration rows; NaN if they are fewer than `fewest_rows`."""
    rank = math.ceil((len(errors) + 1) * coverage - 1e-9)
    return float(np.partition(errors, rank - 1)[rank - 1]) if 0 < rank <= len(errors) else math.nan


def conformal_intervals(
    residuals: NDArray[np.float64],
    coverage: float,
    leverages: NDArray[np.float64] | None = None,
    factor_of: Sequence[int] | NDArray[np.int64] | None = None,
) -> ConformalIntervals:
    """Intervals from the residuals of calibration rows.

    Args:
        residuals: (n, k) rating less reward of heads that were not fitted on these rows; NaN where not rated.
        coverage: asked fraction.
        leverages: (n, f) of the same rows.
        factor_of: (k,) index of each objective's factor among the f.
    """
    k = residuals.shape[-1]
    factors = np.zeros(k, dtype=np.int64) if factor_of is None else np.asarray(factor_of, dtype=np.int64)
    plain, scaled = np.full(k, np.nan), np.full(k, np.nan)
    for objective, own in enumerate(residuals.T):
        rated = ~np.isnan(own)
        errors = np.abs(own[rated])
        plain[objective] = half_width(errors, coverage)
        if leverages is not None:
            spread = np.sqrt(1.0 + leverages[rated, factors[objective]])
            scaled[objective] = half_width(errors / spread, coverage)
    return ConformalIntervals(coverage, plain, scaled, factors)
