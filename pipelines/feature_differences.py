"""Differences of the two responses' features of pairs, without holding all responses' features."""

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys


def feature_differences(
    store: FeatureStore, keys: Keys, chosen: NDArray[np.int64], rejected: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Features of the chosen responses less those of the rejected. Shape (n, layers * d).

    The features pass once in the store's order; each is added to the pairs that it is in, so that the memory is
    that of the differences and one batch.

    Args:
        store: holds the features.
        keys: (m, 16) distinct responses.
        chosen: (n,) each pair's chosen response among `keys`.
        rejected: (n,)
    """
    differences = np.zeros((len(chosen), store.layers * store.hidden_size), dtype=np.float32)
    used = np.unique(np.concatenate([chosen, rejected]))
    place = np.full(len(keys), -1)
    for positions, features in store.stream(keys[used]):
        flat = features.reshape(len(features), -1)
        place[used[positions]] = np.arange(len(positions))
        for side, add in ((chosen, np.add), (rejected, np.subtract)):
            pairs = np.flatnonzero(place[side] >= 0)
            differences[pairs] = add(differences[pairs], flat[place[side[pairs]]])
        place[used[positions]] = -1
    return differences
