"""Decided pairs of a table as rows of keys, and what the store has of their responses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import KeyIndex, Keys, unique_keys
from heads.kinds.layers import LayerChoice
from heads.stored import feature_differences, feature_sums, predict_stored

BLOCK_BYTES = 64 << 20
"""Size of the differences, or sums, of a block of pairs."""


@dataclass(frozen=True, slots=True)
class DecidedPairs:
    """The pairs of one split in which a response is preferred."""

    keys: Keys
    """(m, 16) distinct responses."""
    chosen: NDArray[np.int64]
    """(n,) index into `keys` of each pair's chosen response."""
    rejected: NDArray[np.int64]
    """(n,)"""
    weight: NDArray[np.float64]
    """(n,) weight of each pair in a loss."""

    def __len__(self) -> int:
        return len(self.chosen)

    @classmethod
    def of(cls, pairs: pl.DataFrame, split: str) -> "DecidedPairs":
        """Those of a table of pairs with the columns split, tied, weight, chosen_key and rejected_key."""
        rows = pairs.filter(~pl.col("tied") & (pl.col("split") == split))
        keys, (chosen, rejected) = unique_keys(rows["chosen_key"], rows["rejected_key"])
        return cls(keys, chosen, rejected, rows["weight"].to_numpy())

    def at(self, rows: NDArray[np.int64]) -> "DecidedPairs":
        """Some of the pairs: rows (b,)."""
        return DecidedPairs(self.keys, self.chosen[rows], self.rejected[rows], self.weight[rows])

    def differences(self, store: FeatureStore) -> NDArray[np.float32]:
        """Chosen minus rejected features, (n, layers * hidden_size)."""
        return feature_differences(store, self.keys, self.chosen, self.rejected)

    def sums(self, store: FeatureStore) -> NDArray[np.float32]:
        """Chosen plus rejected features, (n, layers * hidden_size)."""
        return feature_sums(store, self.keys, self.chosen, self.rejected)

    def blocks(self, store: FeatureStore) -> Iterator["DecidedPairs"]:
        """The pairs in blocks, in the order of the store, so that a block reads few shards."""
        if not len(self):
            return
        place = KeyIndex(store.in_shard_order(self.keys)).find(self.keys)  # (m,)
        order = np.lexsort((place[self.rejected], place[self.chosen]))
        size = max(1, BLOCK_BYTES // (4 * store.layers * store.hidden_size))
        for start in range(0, len(order), size):
            yield self.at(order[start : start + size])

    def gaps(self, store: FeatureStore, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Rewards of chosen responses less those of rejected ones: heads (k, layers * hidden_size), result (n, k)."""
        rewards = predict_stored(store, self.keys, weight)  # (m, k)
        return rewards[self.chosen] - rewards[self.rejected]


def layer_choice(store: FeatureStore, layer: int | None) -> LayerChoice:
    """The columns of one stored layer, by its index; None: all."""
    layers = list(range(store.layers))
    return LayerChoice.of(layers, layers if layer is None else [layer], store.hidden_size)
