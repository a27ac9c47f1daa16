"""The covariance of the errors that two heads make on one response, from their residuals and their common rows.

Heads that learned from the same rows share those rows' noise. With rows n_i and n_j, of which n_ij are rated for both,
the sampling errors of two least-squares fits have the covariance S_ij n_ij / (n_i n_j) times the inverse second moment,
and each by itself S_ii / n_i times it: so S_ij n_ij / sqrt(n_i n_j) stands before the root of the two leverages.
"""

import numpy as np
from numpy.typing import NDArray

from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import Scope

FEWEST_COMMON = 20
"""Fewer validation rows than this that rate both objectives tell no correlation: it is taken for 0."""


def shared_rows(statistics: GramStatistics, objectives: list[int], scope: Scope) -> NDArray[np.float64]:
    """Share of the rows in scope that two objectives have in common: n_ij / sqrt(n_i n_j), weights counted.

    Args:
        statistics: hold the rows.
        objectives: indices of the k objectives.
        scope: the training rows, with the weights of their data sets.

    Returns:
        (k, k), 1 on the diagonal; a Gram matrix, so positive semi-definite.
    """
    keys = [key for key in statistics.groups if scope.contains(key)]
    weights = np.array([scope.weight(key) * statistics.groups[key].n for key in keys])  # (groups,)
    rated = np.array([[key.pattern[number] for number in objectives] for key in keys], dtype=np.float64)  # (groups, k)
    common = rated.T @ (weights[:, None] * rated)  # (k, k)
    alone = np.sqrt(np.diagonal(common))
    return common / np.outer(alone, alone)


def residual_correlation(residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of residuals around 0, over the rows that have both.

    Args:
        residuals: (n, k) rating less prediction, NaN where not rated.

    Returns:
        (k, k), 1 on the diagonal, shrunk towards it until no eigenvalue is negative: pairs of objectives are seen on
        different rows, which need not agree.
    """
    known = (~np.isnan(residuals)).astype(np.float64)  # (n, k)
    values = np.nan_to_num(residuals)  # (n, k)
    products = values.T @ values  # over the common rows, (k, k)
    squares = np.square(values).T @ known  # of row i's residuals on the rows that have j too, (k, k)
    spread = np.sqrt(squares * squares.T)
    tells = (known.T @ known >= FEWEST_COMMON) & (spread > 0.0)
    correlation = np.zeros_like(products)
    correlation[tells] = np.clip(products[tells] / spread[tells], -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    lowest = float(np.linalg.eigvalsh(correlation)[0])
    if lowest < 0.0:
        kept = 1.0 / (1.0 - lowest)
        correlation = kept * correlation + (1.0 - kept) * np.eye(len(correlation))
    return correlation


def error_covariance(
    noise: NDArray[np.float64], correlation: NDArray[np.float64], shared: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The matrix E of `heads.ridge.uncertainty`: noise (k,), correlation and share of common rows (k, k)."""
    deviation = np.sqrt(noise)
    return np.outer(deviation, deviation) * correlation * shared
