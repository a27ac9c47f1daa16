"""Standard errors of a suite's scores, and of every margin within a row, by each rule that sums rewards."""

from collections.abc import Mapping

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
    parts: RewardParts, store: FeatureStore, judged: pl.DataFrame, weights: Mapping[str, NDArray[np.float64]]
) -> list[pl.Series]:
    """Columns of a suite's scored responses that say how sure the rules' scores are.

    A margin's error cannot be had from the errors of its two scores, for those have most of their error in common. So
    each response holds its margins with all responses of its row: as many numbers, from which later analyses need no
    features. Weights are taken as they are; their own errors are not counted.

    Args:
        parts: the reward model.
        store: holds the features.
        judged: lines of the table of suites without missing rows.
        weights: rule -> (lines, k) weights of the adjusted rewards in the lines' scores.

    Returns:
        `SCORE_STD` and `MARGIN_STD` of each rule, and `UNFAMILIAR`. A list of `MARGIN_STD` holds the standard error of
        the margin between this response and each response of its row, in the order of lines: 0 for itself and NaN where
        the prompts differ. No column where the model holds no uncertainty.
    """
    known = parts.uncertainty
    if known is None:
        return []
    _, row = first_lines(judged, pl.struct(ROW))  # (lines,)
    _, prompt = first_lines(judged, pl.col("prompt_key"))  # (lines,)
    keys = key_column(judged["response_key"])
    score_std = {rule: np.empty(len(judged)) for rule in weights}
    unfamiliar = np.zeros(len(judged), dtype=bool)
    empty = np.empty(0, dtype=np.float32)
    margin_std: dict[str, list[NDArray[np.float32]]] = {rule: [empty] * len(judged) for rule in weights}
    for lines in _blocks(row):
        features = store.gather(keys[lines]).reshape(len(lines), -1)  # (b, layers * d)
        halves = known.halves(features)  # (b, f, m)
        leverages = squared_lengths(halves)  # (b, f)
        unfamiliar[lines] = known.unfamiliar(leverages)
        for rule, given in weights.items():
            score_std[rule][lines] = parts.score_std(leverages, given[lines])
        for members in _by_row(row[lines]):  # (rows of one size, n) each
            between = between_halves(halves[members])  # (rows, n, n, f)
            asked = prompt[lines[members]]  # (rows, n)
            same = asked[:, :, None] == asked[:, None]  # (rows, n, n)
            for rule, given in weights.items():
                own = np.broadcast_to(given[lines[members]][:, :, None], (*same.shape, given.shape[-1]))
                std = parts.score_std(between.reshape(-1, between.shape[-1]), own.reshape(-1, own.shape[-1]))
                table = np.where(same, std.reshape(same.shape), np.nan).astype(np.float32)  # (rows, n, n)
                for line, margins in zip(lines[members].ravel(), table.reshape(-1, same.shape[-1]), strict=True):
                    margin_std[rule][line] = margins
    errors = [pl.Series(SCORE_STD + rule, values) for rule, values in score_std.items()]
    # Of lists of one length polars makes an array, whatever dtype is asked for.
    errors += [pl.Series(MARGIN_STD + rule, lists).cast(pl.List(pl.Float32)) for rule, lists in margin_std.items()]
    flags = unfamiliar if known.tells_familiar else [None] * len(judged)
    return [*errors, pl.Series(UNFAMILIAR, flags, dtype=pl.Boolean)]


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
