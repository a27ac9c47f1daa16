"""Choice of the responses whose ratings would teach the ridge heads most: greedy optimal design.

A rated response with features x adds x x' to A + alpha I, whatever its rating is, so a rating's value can be computed
before it is given. With P = (A + alpha I)^-1 and the leverage h = x' P x there are two criteria (Atkinson, Donev and
Tobias 2007, Optimum Experimental Designs, ch. 10; for reward models arXiv 2502.04354):

- d-optimal: log det P falls by log(1 + h). The heads' weights as a whole become more certain.
- i-optimal: the mean variance of the pool's own scores, s² mean x_i' P x_i, falls by s² (x' P S P x) / (1 + h), with S
  the pool's mean of x x'. The scores of responses like these become more certain.

After a choice P becomes P - v v' with v = P x / sqrt(1 + h) (Sherman and Morrison 1950), so a near duplicate of a
chosen response has little left to teach. A choice costs the product of the pool with one vector for each factor, or two
for i-optimal: O(n d).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cache.progress import Progress, silent

Criterion = Literal["i-optimal", "d-optimal"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Chosen rows of a pool, in the order of choice."""

    rows: NDArray[np.int64]
    """(m,) index into the pool."""
    gains: NDArray[np.float64]
    """(m, f) gain under each factor when the row was chosen, not weighted: log(1 + h), or the fall of the mean of
    x_i' P x_i over the pool. Computed in float32: errors of 1e-5 of the first row's gain."""
    leverages: NDArray[np.float64]
    """(m, f) leverage under each factor before any choice."""


def leverages(root: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Leverage of rows: root (d, d), features (n, d), result (n,)."""
    return np.square(features @ root, dtype=np.float64).sum(axis=-1)


def choose_batch(
    pool: Sequence[NDArray[np.float32]],
    roots: Sequence[NDArray[np.float32]],
    weights: NDArray[np.float64],
    count: int,
    criterion: Criterion = "i-optimal",
    progress: Progress = silent,
) -> Batch:
    """Choose rows one by one, each with the largest sum of weighted gains given those before it.

    Holds the pool as it is, once for all factors, and 24 bytes for each row and factor besides (16 for d-optimal).
    First n d² operations for each factor, twice as many for i-optimal; then O(n d) for each factor and choice.

    Args:
        pool: blocks (n_i, d) of the n candidates' features.
        roots: R (d, d) of each of the f factors, see `design_factors.inverse_root`.
        weights: (f,) weight of a gain under each factor, not negative.
        count: number of rows to choose; at most n are.
        criterion: what a gain is.
        progress: called with the number of rows chosen.
    """
    moment = _second_moment(pool) if criterion == "i-optimal" else None
    posteriors = [_Posterior(root, pool, moment) for root in roots]
    sizes = [len(block) for block in pool]
    starts = np.cumsum([0, *sizes])  # (blocks + 1,)
    before = np.stack([posterior.leverage for posterior in posteriors], axis=-1)  # (n, f)
    free = np.ones(starts[-1], dtype=np.bool_)
    rows: list[int] = []
    gains: list[list[float]] = []
    for number in range(min(count, int(starts[-1]))):
        total = np.zeros(starts[-1])
        for weight, posterior in zip(weights, posteriors, strict=True):
            total += weight * posterior.gains()
        row = int(np.where(free, total, -np.inf).argmax())
        free[row] = False
        rows.append(row)
        gains.append([float(posterior.gains(row)) for posterior in posteriors])
        block = int(np.searchsorted(starts, row, side="right")) - 1
        x = pool[block][row - starts[block]].astype(np.float64)  # (d,)
        directions = [posterior.directions(x) for posterior in posteriors]
        together = np.concatenate(directions, axis=-1).astype(np.float32)  # (d, f) or (d, 2 f)
        products = np.concatenate([part @ together for part in pool]).astype(np.float64)  # (n, f) or (n, 2 f)
        for posterior, columns in zip(posteriors, np.split(products, len(posteriors), axis=-1), strict=True):
            posterior.add(columns)
        progress("choosing rows", number + 1, min(count, int(starts[-1])), "rows")
    chosen = np.array(rows, dtype=np.int64)
    return Batch(chosen, np.array(gains).reshape(len(rows), len(roots)), before[chosen])


class _Posterior:
    """P of one factor given the rows chosen so far, with every candidate's leverage and spread over the pool.

    Args:
        root: R (d, d) with P = R R' before any choice.
        pool: blocks (n_i, d).
        moment: S (d, d), for i-optimal alone.
    """

    def __init__(
        self, root: NDArray[np.float32], pool: Sequence[NDArray[np.float32]], moment: NDArray[np.float64] | None
    ) -> None:
        self._root, self._moment = root, moment
        self._added: list[NDArray[np.float64]] = []  # each v (d,) of P - sum of v v'
        self._fall = 0.0  # v' S v of the last v
        spread = None if moment is None else (root.T @ (moment.astype(np.float32) @ root))  # R' S R (d, d)
        leverage, covered = [], []
        for block in pool:
            half = block @ root  # (n_i, d)
            leverage.append(np.square(half, dtype=np.float64).sum(axis=-1))
            if spread is not None:
                covered.append(np.einsum("nd,nd->n", half @ spread, half, dtype=np.float64))
        self.leverage = np.concatenate(leverage)  # (n,) h
        self._covered = np.concatenate(covered) if covered else None  # (n,) x' P S P x

    def gains(self, row: int | slice = slice(None)) -> NDArray[np.float64]:
        """Gain of each candidate, (n,), or of one."""
        if self._covered is None:
            return np.log1p(self.leverage[row])
        gains: NDArray[np.float64] = self._covered[row] / (1.0 + self.leverage[row])
        return gains

    def directions(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add a row with features x (d,) to P; the vectors whose products with the pool `add` takes, (d, 1 or 2)."""
        px = self._apply(x)  # (d,)
        v = px / np.sqrt(1.0 + x @ px)
        if self._moment is None:
            self._added.append(v)
            return v[:, None]
        sv = self._moment @ v  # (d,)
        psv = self._apply(sv)  # with P as it was
        self._fall = float(v @ sv)
        self._added.append(v)
        return np.stack([v, psv], axis=-1)

    def add(self, products: NDArray[np.float64]) -> None:
        """Take the last row's effect from every candidate: products (n, 1 or 2) of the pool with `directions`."""
        xv = products[:, 0]  # (n,)
        self.leverage = np.maximum(self.leverage - xv * xv, 0.0)
        if self._covered is not None:
            xpsv = products[:, 1]  # (n,)
            self._covered = np.maximum(self._covered - 2.0 * xv * xpsv + xv * xv * self._fall, 0.0)

    def _apply(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """P x with all that was added. Shapes (d,)."""
        root = self._root
        px: NDArray[np.float64] = (root @ (root.T @ x.astype(np.float32))).astype(np.float64)
        if self._added:
            added = np.stack(self._added)  # (m, d)
            px -= (added @ x) @ added
        return px


def _second_moment(pool: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """S, the mean of x x' over the pool. Shape (d, d)."""
    total = np.zeros((pool[0].shape[-1],) * 2)
    for block in pool:
        total += block.T @ block
    return total / sum(map(len, pool))
