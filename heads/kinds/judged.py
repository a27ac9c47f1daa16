"""Predicted distributions against the ratings of rows that chose nothing, beside those of the ridge."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heads.distributions import Distributions
from heads.results import DistributionMetrics

INTERVAL = (0.05, 0.95)
"""Levels between which the middle 90 % of a distribution lies."""

RIDGE_GAUSSIAN, RIDGE_RESIDUALS = "ridge_gaussian", "ridge_residuals"

FEWEST_RESIDUALS = 10
"""Fewer calibration rows than this give the ridge no distribution to be compared with."""


def ridge_distributions(predicted: NDArray[np.float64], residuals: NDArray[np.float64]) -> dict[str, Distributions]:
    """The ridge's own distributions of some rows, from its residuals on others.

    Args:
        predicted: (n,) of the rows.
        residuals: (r,) of calibration rows.

    Returns:
        With Gaussian noise of the residuals' mean square; and with the residuals themselves, whose quantiles are the
        one-sided form of the conformal intervals. Empty with fewer than `FEWEST_RESIDUALS`.
    """
    if len(residuals) < FEWEST_RESIDUALS:
        return {}
    deviation = float(np.sqrt(np.mean(residuals**2)))
    return {
        RIDGE_GAUSSIAN: Distributions.normal(predicted, np.full(len(predicted), deviation)),
        RIDGE_RESIDUALS: Distributions.of_residuals(predicted, residuals),
    }


def judged(
    distributions: Mapping[str, Distributions], observed: NDArray[np.float64], prompts: NDArray[np.int64]
) -> dict[str, DistributionMetrics]:
    """Metrics of several kinds' distributions of the same rows, each beside the ridge with its residuals.

    Args:
        distributions: kind -> distributions of the n rows; `RIDGE_RESIDUALS` is one of them.
        observed: (n,) targets.
        prompts: (n,) number of each row's prompt; rows of one prompt are not independent.
    """
    scores = {name: each.crps(observed) for name, each in distributions.items()}  # (n,) each
    metrics = {}
    for name, each in distributions.items():
        lower, upper = (each.quantile(level) for level in INTERVAL)
        difference = scores[name] - scores[RIDGE_RESIDUALS]  # (n,)
        metrics[name] = DistributionMetrics(
            rows=len(observed),
            crps=float(scores[name].mean()),
            crps_less_ridge=float(difference.mean()),
            crps_less_ridge_error=_error_over(prompts, difference),
            covered=float(np.mean((lower <= observed) & (observed <= upper))),
            pit=tuple(each.pit_histogram(observed).tolist()),
        )
    return metrics


def _error_over(prompts: NDArray[np.int64], values: NDArray[np.float64]) -> float | None:
    """Standard error of the mean of values (n,), whose rows are independent between prompts only."""
    sums = np.bincount(np.unique(prompts, return_inverse=True)[1], values - values.mean())  # (prompts,)
    if len(sums) < 2:
        return None
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1))) / len(values)
