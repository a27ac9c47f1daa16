"""The best of all responses of a row, chosen in three ways: by mean, by a lower bound, by probability of being best.

The highest of several noisy scores is more often one whose error is large and positive than one that is good: the
winner's curse. A lower bound, score - c × standard error, asks a response to be good by more than its own error. The
probability of being best also counts what the errors of the responses have in common, which says nothing about their
order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, by_prompt
from evaluation.columns import MARGIN_STD, ROW, SCORE, SCORE_STD
from evaluation.outcomes import first_lines
from gating.decision import probability_better

DEVIATIONS = 1.0
"""c of the lower bound, in standard errors."""

MONTE_CARLO = 2000
"""Draws of a row's scores for the probability of being best, whose own error is then at most 0.011."""

NUMBERS_AT_ONCE = 1 << 21
"""Drawn scores that are in memory at once."""

MEAN = "mean"

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to choose."""

    right: Interval
    """Fraction of the rows whose chosen response is a correct one."""
    lead: Interval | None
    """Over choosing by the mean, on the same draws; None for the mean itself."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Every way to choose among all responses, by every rule with standard errors."""

    rows: int
    """Rows of more than two responses."""
    chance: float
    """Fraction right of a response chosen at random."""
    deviations: float
    """c of the lower bound."""
    rules: dict[str, dict[str, Choice]]
    """Rule -> mean, lower_bound, probability."""


def choices(scored: pl.DataFrame, seed: int = 0) -> Choices | None:
    """Choose the best of each row of more than two responses to one prompt.

    Args:
        scored: scored responses, as `evaluation.pairs.pairs_of` takes them, with `score_std.<rule>` and
            `margin_std.<rule>`; a chosen response is a correct one.
        seed: seed of the Monte Carlo draws and of the bootstrap over prompts.

    Returns:
        None where there is no such row, or no rule with standard errors.
    """
    rules = [name.removeprefix(SCORE_STD) for name in scored.columns if name.startswith(SCORE_STD)]
    columns = [prefix + rule for rule in rules for prefix in (SCORE, SCORE_STD, MARGIN_STD)]
    rows = scored.group_by(ROW, maintain_order=True).agg(
        pl.col("prompt_key").first(), pl.col("prompt_key").n_unique().alias("prompts"), "chosen", *columns
    )
    rows = rows.filter((pl.col("chosen").list.len() > 2) & (pl.col("prompts") == 1))
    if not rules or rows.is_empty():
        return None
    sizes = rows["chosen"].list.len().to_numpy()
    chance = np.empty(len(rows))
    right = {rule: {way: np.empty(len(rows)) for way in (MEAN, "lower_bound", "probability")} for rule in rules}
    for size in np.unique(sizes):
        at = np.flatnonzero(sizes == size)
        part = rows[at]
        correct = np.array(part["chosen"].to_list(), dtype=np.float64)  # (rows, size)
        chance[at] = correct.mean(axis=-1)
        for rule in rules:
            scores, std = (np.array(part[prefix + rule].to_list()) for prefix in (SCORE, SCORE_STD))  # (rows, size)
            margin_std = np.array(part[MARGIN_STD + rule].to_list())  # (rows, size, size)
            for way, values in _values(scores, std, margin_std, seed).items():
                right[rule][way][at] = _of_highest(values, correct)
    _, prompt = first_lines(rows, pl.col("prompt_key"))
    return Choices(
        rows=len(rows),
        chance=float(chance.mean()),
        deviations=DEVIATIONS,
        rules={rule: _judged(outcomes, prompt, seed) for rule, outcomes in right.items()},
    )


def probability_of_best(scores: Real, margin_std: Real, seed: int = 0, draws: int = MONTE_CARLO) -> Real:
    """Probability that each response of a row has the highest true score, under a Gaussian of all their errors.

    Errors that all responses share move no order, so the covariance is centred: -J D J / 2, with the squares D of the
    margins' errors and J that takes a mean off (the Gram matrix of distances; Torgerson 1952). Eigenvalues below 0,
    which a bound of the heads' covariance can cause, count as 0. For two responses it is exact.

    Args:
        scores: (rows, n)
        margin_std: (rows, n, n) standard errors of the margins between responses.
        seed: seed of the draws.
        draws: number of draws; all rows have the same ones.

    Returns:
        (rows, n), each row with the sum 1.
    """
    rows, n = scores.shape
    if n == 2:
        first = probability_better(scores[:, 0] - scores[:, 1], margin_std[:, 0, 1])  # (rows,)
        return np.stack([first, 1.0 - first], axis=-1)
    centring = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ np.square(margin_std) @ centring)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]  # (rows, n, n)
    normal = np.random.default_rng(seed).standard_normal((draws, n))
    best = np.empty((rows, n))
    at_once = max(1, NUMBERS_AT_ONCE // (draws * n))
    for start in range(0, rows, at_once):
        some = slice(start, start + at_once)
        drawn = scores[some, None] + normal @ np.swapaxes(roots[some], -2, -1)  # (b, draws, n)
        highest = drawn == drawn.max(axis=-1, keepdims=True)
        best[some] = (highest / highest.sum(axis=-1, keepdims=True)).mean(axis=1)
    return best


def _values(scores: Real, std: Real, margin_std: Real, seed: int) -> dict[str, Real]:
    """Way -> values (rows, n), of which the highest is chosen."""
    return {
        MEAN: scores,
        "lower_bound": scores - DEVIATIONS * std,
        "probability": probability_of_best(scores, margin_std, seed),
    }


def _of_highest(values: Real, correct: Real) -> Real:
    """Fraction correct of the highest values of each row: (rows, n) each, result (rows,)."""
    highest = values == values.max(axis=-1, keepdims=True)
    fraction: Real = (highest * correct).sum(axis=-1) / highest.sum(axis=-1)
    return fraction


def _judged(outcomes: Mapping[str, Real], prompt: NDArray[np.int64], seed: int) -> dict[str, Choice]:
    right, leads = by_prompt(outcomes, prompt, MEAN, seed)
    return {way: Choice(right[way], None if way == MEAN else leads[way]) for way in outcomes}
