"""Stored features by key: rewards of linear heads, differences of pairs, and whole matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys
from cache.progress import Progress, silent
from heads.kinds.layers import LayerChoice


def predict_stored(
    store: FeatureStore, keys: Keys, weights: NDArray[np.floating], progress: Progress = silent
) -> NDArray[np.float64]:
    """Linear heads applied to the features of `keys`.

    Args:
        store: holds the features.
        keys: (n, 16).
        weights: (k, layers * hidden_size).
        progress: called with the number of rows done.

    Returns:
        (n, k), products in float32, in the order of `keys`.
    """
    predicted = np.empty((len(keys), len(weights)))
    heads = weights.T.astype(np.float32)  # (layers * d, k)
    done = 0
    for positions, features in store.stream(keys):
        predicted[positions] = features.reshape(len(features), -1) @ heads
        done += len(positions)
        progress("reading features", done, len(keys), "rows")
    return predicted


def gather_compact(
    store: FeatureStore, keys: Keys, choice: LayerChoice, progress: Progress = silent
) -> NDArray[np.floating[Any]]:
    """The features of `keys`, in their order, restricted to the chosen layers.

    Float16 if the store holds float16, which takes half the memory of `FeatureStore.gather` for the same values;
    float32 otherwise.

    Args:
        store: holds the features.
        keys: (n, 16), possibly with repeated keys.
        choice: layers to read.
        progress: called with the number of rows read.

    Returns:
        (n, c) for c chosen columns.
    """
    dtype = np.float16 if store.dtype == "float16" else np.float32
    features = np.empty((len(keys), len(choice.columns)), dtype=dtype)
    done = 0
    for positions, part in store.stream(keys):
        features[positions] = choice.take(part)
        done += len(positions)
        progress("reading features", done, len(keys), "rows")
    return features


def feature_differences(
    store: FeatureStore, keys: Keys, chosen: NDArray[np.int64], rejected: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Chosen minus rejected features of pairs. Shape (n, layers * d).

    Args:
        store: holds the features.
        keys: (m, 16) distinct responses.
        chosen: (n,) index into `keys` of each pair's chosen response.
        rejected: (n,) index into `keys` of each pair's rejected response.
    """
    return _combined(store, keys, ((chosen, np.add), (rejected, np.subtract)))


def feature_sums(
    store: FeatureStore, keys: Keys, chosen: NDArray[np.int64], rejected: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Chosen plus rejected features of pairs; arguments and result as those of `feature_differences`."""
    return _combined(store, keys, ((chosen, np.add), (rejected, np.add)))


def _combined(
    store: FeatureStore, keys: Keys, sides: Sequence[tuple[NDArray[np.int64], np.ufunc]]
) -> NDArray[np.float32]:
    """Features of each pair's responses, combined. Shape (n, layers * d).

    The features are read once in the store's order, and each is added to its pairs: the memory is that of the
    result and one batch, never that of all responses.

    Args:
        store: holds the features.
        keys: (m, 16) distinct responses.
        sides: (n,) index into `keys` of each pair's response, and how its features enter.
    """
    combined = np.zeros((len(sides[0][0]), store.layers * store.hidden_size), dtype=np.float32)
    used = np.unique(np.concatenate([side for side, _ in sides]))
    place = np.full(len(keys), -1)
    for positions, features in store.stream(keys[used]):
        flat = features.reshape(len(features), -1)
        place[used[positions]] = np.arange(len(positions))
        for side, enter in sides:
            pairs = np.flatnonzero(place[side] >= 0)
            combined[pairs] = enter(combined[pairs], flat[place[side[pairs]]])
        place[used[positions]] = -1
    return combined
