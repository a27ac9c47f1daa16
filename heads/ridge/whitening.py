"""Matrices W with which the leverage of a response is |W x|²: inverse Cholesky factors, sketched where they are wide.

With L L' = A + alpha I, the leverage x' (A + alpha I)^-1 x is |L^-1 x|². Up to `EXACT_COLUMNS` columns W is L^-1
itself. Beyond, W = S L^-1 with `SKETCH_ROWS` random orthonormal rows S, scaled so that |S v|² is |v|² in the mean over
S (Johnson and Lindenstrauss 1984). The leverage of every x, also of one unlike all rows, then has a relative error of
standard deviation sqrt(2 / m (1 - m / c)), with m rows and c columns: 0.046 at 4,096 columns, and half of that for a
standard error. Leading directions of the rows would be closer on rows like them, and miss in all other directions what
is unlike them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from heads.ridge.symmetric import Real

EXACT_COLUMNS = 1024
"""Largest width at which leverages are exact."""

SKETCH_ROWS = 768
"""Rows of W beyond it. A batch of 1,024 responses with seven factors of 4,096 columns then takes a third of a second on
two cores, and a factor 12.6 MB."""


def rows_of(columns: int) -> int:
    """Number of rows of W for a width."""
    return columns if columns <= EXACT_COLUMNS else SKETCH_ROWS


def sketch(columns: int, rows: int, seed: int) -> NDArray[np.float64]:
    """Random orthonormal rows, scaled by sqrt(columns / rows): (rows, columns)."""
    drawn = np.random.default_rng(abs(seed)).standard_normal((columns, rows))
    orthonormal, upper = np.linalg.qr(drawn)  # (c, m)
    signs = np.where(np.diagonal(upper) < 0, -1.0, 1.0)  # without them the distribution is not uniform
    return np.ascontiguousarray((orthonormal * signs).T) * np.sqrt(columns / rows)


def whitening(lower: Real, rows: int, seed: int = 0) -> NDArray[np.float32]:
    """W with |W x|² the leverage of x; solved in float64.

    Args:
        lower: (c, c) L with L L' = A + alpha I, zeros above its diagonal.
        rows: number m of rows; c for the exact leverage.
        seed: seed of the sketch.

    Returns:
        (m, c), lower triangular where m = c.
    """
    columns = len(lower)
    left = np.eye(columns) if rows == columns else sketch(columns, rows, seed)  # (m, c)
    # W L = S, so L' W' = S'.
    solved = solve_triangular(lower.astype(np.float64), left.T, lower=True, trans="T", check_finite=False)  # (c, m)
    return np.ascontiguousarray(solved.T, dtype=np.float32)
