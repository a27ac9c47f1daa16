"""Best of n: accuracy of the highest-scored of k responses, against k.

A row of n responses has a value for every k up to n. It is the mean over all subsets of k responses: the expectation
of drawing k at random, without sampling noise; Chen et al. 2021 (arXiv 2107.03374) count subsets the same way.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import comb

from evaluation.bootstrap import Interval, where_judged
from evaluation.columns import ROW, SCORE
from evaluation.outcomes import first_lines

ALL_SIZES = 16
"""Every k up to this one is a point of the curve; above it, only powers of two times this one and the largest k."""


@dataclass(frozen=True, slots=True)
class BestOf:
    """One point of the curves, over rows with at least k responses."""

    k: int
    rows: int
    chance: float
    """Accuracy of a response selected at random."""
    possible: float
    """Fraction of the subsets that contain a correct response."""
    selected: dict[str, Interval]
    """Rule -> accuracy of the response that it scores highest, over the rows that it scored."""


def best_of_n(scored: pl.DataFrame, seed: int = 0) -> list[BestOf]:
    """The curves of all rules; empty where no row has more than two responses.

    Where rows differ in n, each k has other rows: compare rules at one k and with `chance`, not along the curve.

    Args:
        scored: scored responses, as `evaluation.pairs.pairs_of` takes them; a chosen response is a correct one.
        seed: seed of the bootstrap over prompts.
    """
    rules = [name for name in scored.columns if name.startswith(SCORE)]
    rows = scored.group_by(ROW, maintain_order=True).agg(
        pl.col("prompt_key").first(), pl.col("chosen"), *(pl.col(rule).cast(pl.Float64) for rule in rules)
    )
    sizes = rows["chosen"].list.len().to_numpy()
    largest = int(sizes.max()) if len(sizes) else 0
    if largest <= 2:
        return []
    curves = {rule: np.full((len(rows), largest), np.nan) for rule in rules}
    possible = np.full((len(rows), largest), np.nan)
    chance = np.empty(len(rows))
    for size in np.unique(sizes):
        at = np.flatnonzero(sizes == size)
        part = rows[at]
        correct = np.array(part["chosen"].to_list())  # (rows, size)
        possible[at, :size], chance[at] = contains_correct(correct), correct.mean(axis=-1)
        for rule in rules:
            scores = np.array(part[rule].to_list(), dtype=np.float64)  # (rows, size)
            curves[rule][at, :size] = selects_correct(scores, correct)
    _, prompt = first_lines(rows, pl.col("prompt_key"))
    return [_point(k, sizes >= k, chance, possible, curves, prompt, seed) for k in _points(largest)]


def selects_correct(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probability that the highest score of a random subset of k = 1..n is a correct response's.

    Equal scores are selected with equal probability. The response in place i of n (from 0, the highest score first)
    is the best of comb(n - 1 - i, k - 1) of the comb(n, k) subsets.

    Args:
        scores: (rows, n); a row with a NaN has a curve of NaN.
        correct: (rows, n)

    Returns:
        (rows, n), column k - 1 for subsets of k.
    """
    rows, n = scores.shape
    order = np.argsort(-scores, axis=-1, kind="stable")
    ordered, rate = (np.take_along_axis(values, order, axis=-1) for values in (scores, correct.astype(np.float64)))
    starts = np.ones((rows, n), dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = np.cumsum(starts.ravel()) - 1  # equal scores of a row
    rate = (np.bincount(run, rate.ravel()) / np.bincount(run))[run].reshape(rows, n)
    sizes = np.arange(1, n + 1)
    best = comb(n - 1 - np.arange(n)[:, None], sizes - 1) / comb(n, sizes)  # (place, k)
    return np.where(np.isnan(scores).any(axis=-1, keepdims=True), np.nan, rate @ best)


def contains_correct(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probability that a random subset of k = 1..n responses contains a correct one. Shapes (rows, n) -> (rows, n)."""
    n = correct.shape[-1]
    sizes = np.arange(1, n + 1)
    return 1.0 - comb(n - correct.sum(axis=-1, keepdims=True), sizes) / comb(n, sizes)


def _point(
    k: int,
    rows: NDArray[np.bool_],
    chance: NDArray[np.float64],
    possible: NDArray[np.float64],
    curves: dict[str, NDArray[np.float64]],
    prompt: NDArray[np.int64],
    seed: int,
) -> BestOf:
    outcomes = {rule.removeprefix(SCORE): curve[rows, k - 1] for rule, curve in curves.items()}
    return BestOf(
        k,
        int(rows.sum()),
        float(chance[rows].mean()),
        float(possible[rows, k - 1].mean()),
        where_judged(outcomes, prompt[rows], seed),
    )


def _points(largest: int) -> list[int]:
    points = list(range(1, min(largest, ALL_SIZES) + 1))
    while points[-1] < largest:
        points.append(min(2 * points[-1], largest))
    return points
