"""The normal equations in numpy and scipy: an hour's work of an engineer who has this one question.

The rows of a rating pattern are read in blocks and summed into x' x and x' y, one pattern after another, so that one
matrix is in memory at a time. Its settings, none slower than it has to be:

- x' x by BLAS's SYRK, half the arithmetic of a plain product, added in place: on these shapes faster than numpy's
  `x.T @ x` and an addition, although scipy's SYRK keeps Python's lock, so that reading ahead is of little use.
- Blocks of 4,096 rows: short ones make a product slower, longer ones take memory.
- Everything in float32, each sum over few blocks, so that it stays accurate (see the agreement with float64).
- One Cholesky factor in float32 for each alpha, in place, with which all objectives of the pattern are solved at once;
  in float64 where float32 fails.
- Losses from the validation rows, which are kept: one thin product, where a matrix of their own would be a full one.
- The final heads from the sum of both; a factor for each alpha that some objective chose.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, blas, cho_factor, cho_solve

from benchmarks.heads.data import ALPHAS, NAMES, Data, columns_of_patterns
from cache import FeatureStore
from cache.keys import Keys
from cache.prefetch import prefetched

BLOCK_ROWS = 4096

Matrix = NDArray[np.float32]


def fit(store: FeatureStore, data: Data, folder: Path) -> dict[str, Any]:
    """Heads of all objectives, pattern by pattern."""
    path = np.full((len(ALPHAS), len(NAMES)), np.nan)
    weights = np.empty((len(NAMES), store.hidden_size))
    chosen = np.empty(len(NAMES))
    xx = np.empty((store.hidden_size,) * 2, np.float32, order="F")  # (d, d), the lower triangle
    memory = np.empty_like(xx, order="F")  # (d, d), where each factor overwrites the last
    summing = 0.0
    for pattern, columns in enumerate(columns_of_patterns()):
        started = time.perf_counter()
        xx.fill(0.0)
        xy = np.zeros((store.hidden_size, len(columns)))  # (d, c)
        mine = np.flatnonzero(data["patterns"] == pattern)
        rows, held_out = mine[~data["held_out"][mine]], mine[data["held_out"][mine]]
        y = data["targets"][:, columns].astype(np.float32)  # (n, c)
        for some, x in blocks(store, data["keys"], rows):
            add(x, y[some], xx, xy)
        judged = store.gather(data["keys"][held_out])[:, 0]  # (v, d)
        summing += time.perf_counter() - started
        for number, alpha in enumerate(ALPHAS):
            heads = solve(xx, xy, alpha, memory)  # (d, c)
            path[number, columns] = np.square(judged @ heads - y[held_out], dtype=np.float64).mean(axis=0)
        add(judged, y[held_out], xx, xy)
        best = np.asarray(ALPHAS)[path[:, columns].argmin(axis=0)]  # (c,)
        for alpha in np.unique(best):
            these = best == alpha
            weights[columns[these]] = solve(xx, xy[:, these], alpha, memory).T
        chosen[columns] = best
    np.savez(folder / "normal_equations.npz", path=path, best=path.min(axis=0), alphas=chosen, weights=weights)
    return {"pass": summing}


def blocks(store: FeatureStore, keys: Keys, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Matrix]]:
    """Rows (b,) in blocks, with their features (b, d), read ahead by another thread."""
    pieces = [rows[at : at + BLOCK_ROWS] for at in range(0, len(rows), BLOCK_ROWS)]
    return prefetched(((piece, store.gather(keys[piece])[:, 0]) for piece in pieces), ahead=1)


def add(x: Matrix, y: Matrix, xx: Matrix, xy: NDArray[np.float64]) -> None:
    """Add the sums over a block: x (b, d), y (b, c), xx (d, d), xy (d, c)."""
    blas.ssyrk(1.0, x.T, beta=1.0, c=xx, lower=1, overwrite_c=1)
    xy += x.T @ y


def solve(xx: Matrix, xy: NDArray[np.float64], alpha: float, memory: Matrix) -> NDArray[np.floating[Any]]:
    """Solution (d, c) of (xx + alpha I) w = xy; in float64 where the matrix is not positive definite in float32."""
    np.copyto(memory, xx)
    memory[np.diag_indices(len(xx))] += np.float32(alpha)
    try:
        factor = cho_factor(memory, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        exactly = xx.astype(np.float64)
        exactly[np.diag_indices(len(xx))] += alpha
        return cho_solve(cho_factor(exactly, lower=True, overwrite_a=True, check_finite=False), xy)
    return cho_solve(factor, xy.astype(np.float32), check_finite=False)
