"""The Bradley-Terry head of the decided pairs, which is the objective `preference` and the baseline of all rules."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.progress import Progress, silent
from heads.kinds.bradley_terry import BradleyTerryHead, LinearPairwiseHead, select_c
from heads.kinds.layers import LayerChoice
from heads.pairs.decided import DecidedPairs, layer_choice
from heads.pairs.streamed import StreamedDifferences, select_c_streamed
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import TRAIN, VALIDATION

log = logging.getLogger(__name__)

HELD_BYTES = 3 << 29
"""Largest size of the pairs' differences that are held in memory: float32, before layers are chosen."""


def fit_preference(
    store: FeatureStore,
    pairs: pl.DataFrame,
    C: Sequence[float],
    layer: int | None = None,
    center_rewards_coefficient: float = 0.0,
    progress: Progress = silent,
) -> LinearPairwiseHead:
    """The Bradley-Terry head of the decided training pairs, with the best C on the validation pairs.

    Args:
        store: holds the features.
        pairs: as `DecidedPairs.of` takes them, with decided pairs in both splits.
        C: inverse penalties to choose from.
        layer: index of the stored layer that the head reads; None: all.
        center_rewards_coefficient: factor of the mean of (r_chosen + r_rejected)² in the loss; not negative.
        progress: called with the number of pairs read, where they are read in passes.

    Returns:
        A head whose `coef_` is as wide as the layers that it reads.
    """
    choice = layer_choice(store, layer)
    train, validation = (DecidedPairs.of(pairs, split) for split in (TRAIN, VALIDATION))
    kind: Callable[[float], BradleyTerryHead] = BradleyTerryHead
    if center_rewards_coefficient:
        kind = partial(BradleyTerryHead, level=center_rewards_coefficient * second_moment_of_sums(store, train, choice))
    size = 4 * (len(train) + len(validation)) * store.layers * store.hidden_size
    if size > HELD_BYTES:
        log.info("the differences of %s pairs (%.1f GB) are read as they are needed", f"{len(train):,}", size / 1e9)
        streamed = [StreamedDifferences(store, some, choice, progress) for some in (train, validation)]
        return select_c_streamed(streamed[0], streamed[1], C, kind)[0]
    learn, judge = (choice.take(some.differences(store)) for some in (train, validation))
    # A product with 1 changes nothing, but a weighted sum rounds in another order.
    weight = None if (train.weight == 1.0).all() else train.weight
    return select_c(learn, judge, C, kind, weight)[0]


def second_moment_of_sums(store: FeatureStore, pairs: DecidedPairs, choice: LayerChoice) -> NDArray[np.float64]:
    """Weighted mean of s s' over the pairs, with s = f(chosen) + f(rejected). Shape (c, c) for c chosen columns.

    A head w has the mean (r_chosen + r_rejected)² = w' M w with this M, so that the sums themselves, as large as the
    differences, need not be held: a block at a time is read and summed by the ridge's code.
    """
    width = len(choice.columns)
    statistics = GramStatistics(("sums",), width, storage="float32")
    for block in pairs.blocks(store):
        root = np.sqrt(block.weight, dtype=np.float32)[:, None]  # (b, 1)
        statistics.add("pairs", TRAIN, root * choice.take(block.sums(store)), np.ones((len(block), 1)))
    statistics.flush()
    moment: NDArray[np.float64] = statistics.subset().xx() / pairs.weight.sum()
    return moment
