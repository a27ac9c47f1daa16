"""Decided pairs of a table as rows of keys, and the Bradley-Terry head that is fitted on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys, unique_keys
from heads.kinds.bradley_terry import LinearPairwiseHead, select_c
from heads.kinds.layers import LayerChoice
from heads.stored import feature_differences, predict_stored


@dataclass(frozen=True, slots=True)
class DecidedPairs:
    """The pairs of one split in which a response is preferred."""

    keys: Keys
    """(m, 16) distinct responses."""
    chosen: NDArray[np.int64]
    """(n,) index into `keys` of each pair's chosen response."""
    rejected: NDArray[np.int64]
    """(n,)"""

    def __len__(self) -> int:
        return len(self.chosen)

    @classmethod
    def of(cls, pairs: pl.DataFrame, split: str) -> "DecidedPairs":
        """Those of a table of pairs with the columns split, tied, chosen_key and rejected_key."""
        rows = pairs.filter(~pl.col("tied") & (pl.col("split") == split))
        keys, (chosen, rejected) = unique_keys(rows["chosen_key"], rows["rejected_key"])
        return cls(keys, chosen, rejected)

    def differences(self, store: FeatureStore) -> NDArray[np.float32]:
        """Chosen minus rejected features, (n, layers * hidden_size)."""
        return feature_differences(store, self.keys, self.chosen, self.rejected)

    def gaps(self, store: FeatureStore, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Rewards of chosen responses less those of rejected ones: heads (k, layers * hidden_size), result (n, k)."""
        rewards = predict_stored(store, self.keys, weight)  # (m, k)
        return rewards[self.chosen] - rewards[self.rejected]


def fit_preference(
    store: FeatureStore, pairs: pl.DataFrame, C: Sequence[float], layer: int | None = None
) -> LinearPairwiseHead:
    """The Bradley-Terry head of the decided training pairs, with the best C on the validation pairs.

    Args:
        store: holds the features.
        pairs: as `DecidedPairs.of` takes them, with decided pairs in both splits.
        C: inverse penalties to choose from.
        layer: index of the stored layer that the head reads; None: all.

    Returns:
        A head whose `coef_` is as wide as the layers that it reads.
    """
    choice = layer_choice(store, layer)
    train, validation = (
        choice.take(DecidedPairs.of(pairs, split).differences(store)) for split in ("train", "validation")
    )
    return select_c(train, validation, C)[0]


def layer_choice(store: FeatureStore, layer: int | None) -> LayerChoice:
    """The columns of one stored layer, by its index; None: all."""
    layers = list(range(store.layers))
    return LayerChoice.of(layers, layers if layer is None else [layer], store.hidden_size)
