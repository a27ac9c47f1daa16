"""Standard errors of a suite's scores, and of every margin within a row, by the gate's rule."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import key_column
from evaluation.columns import MARGIN_STD, ROW, SCORE_STD, UNFAMILIAR
from evaluation.outcomes import first_lines
from gating.reward import RewardParts
from heads.ridge.uncertainty import between_halves, squared_lengths

BLOCK_LINES = 1024
"""Responses whose features are in memory at once, but for a row with more."""


def score_errors(
    parts: RewardParts, store: FeatureStore, judged: pl.DataFrame, weights: NDArray[np.float32]
) -> list[pl.Series]:
    """Columns of a suite's scored responses that say how sure the gate's scores are.

    A margin's error cannot be had from the errors of its two scores, for those have most of their error in common. So
    each response holds its margins with all responses of its row: as many numbers, from which later analyses need no
    features.

    Args:
        parts: the reward model.
        store: holds the features.
        judged: lines of the table of suites without missing rows.
        weights: (lines, k) the gate's weights for the lines' prompts.

    Returns:
        `SCORE_STD` (float64), `UNFAMILIAR` (bool, null where too few validation rows tell), and `MARGIN_STD`, a list of
        float32: the standard error of the margin between this response and each response of its row, in the order of
        lines, 0 for itself and NaN where the prompts differ. None of them where the model holds no uncertainty.
    """
    known = parts.uncertainty
    if known is None:
        return []
    _, row = first_lines(judged, pl.struct(ROW))  # (lines,)
    _, prompt = first_lines(judged, pl.col("prompt_key"))  # (lines,)
    keys = key_column(judged["response_key"])
    score_std = np.empty(len(judged))
    unfamiliar = np.zeros(len(judged), dtype=bool)
    margins: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(judged)
    for lines in _blocks(row):
        features = store.gather(keys[lines]).reshape(len(lines), -1)  # (b, layers * d)
        halves = known.halves(features)  # (b, f, m)
        leverages = squared_lengths(halves)  # (b, f)
        score_std[lines] = parts.score_std(leverages, weights[lines])
        unfamiliar[lines] = known.unfamiliar(leverages)
        for members in _by_row(row[lines]):  # (rows of one size, n) each
            count, n = members.shape
            between = between_halves(halves[members])  # (rows, n, n, f)
            own = np.repeat(weights[lines[members]][:, :, None], n, axis=2)  # (rows, n, n, k)
            std = parts.score_std(between.reshape(-1, between.shape[-1]), own.reshape(-1, own.shape[-1]))
            asked = prompt[lines[members]]  # (rows, n)
            same = asked[:, :, None] == asked[:, None]
            table = np.where(same, std.reshape(count, n, n), np.nan).astype(np.float32)
            for of_row, values in zip(lines[members], table, strict=True):
                for line, margin in zip(of_row, values, strict=True):
                    margins[line] = margin
    return [
        pl.Series(SCORE_STD, score_std),
        pl.Series(UNFAMILIAR, unfamiliar if known.tells_familiar else [None] * len(judged), dtype=pl.Boolean),
        pl.Series(MARGIN_STD, margins).cast(pl.List(pl.Float32)),  # rows of one size would become an Array
    ]


def _blocks(row: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Lines of whole rows, at most `BLOCK_LINES` together where no row has more."""
    order = np.argsort(row, kind="stable")
    sizes = np.bincount(row)
    blocks, start, end = [], 0, 0
    for size in sizes:
        if end > start and end + size - start > BLOCK_LINES:
            blocks.append(order[start:end])
            start = end
        end += int(size)
    return [*blocks, order[start:end]] if end > start else blocks


def _by_row(row: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places of each row's lines: an array (rows, n) for each number n of lines; `row` is ascending."""
    _, starts, sizes = np.unique(row, return_index=True, return_counts=True)
    return [starts[sizes == n][:, None] + np.arange(n) for n in np.unique(sizes)]
