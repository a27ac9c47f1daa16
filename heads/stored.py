"""Heads over stored features: rewards by key, and the features themselves for heads that need them at once."""

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
        progress: told the number of rows done.

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
    """The features of `keys` in their order, as wide as the chosen layers.

    Float16 where the store holds float16, half of what `FeatureStore.gather` takes and the same values;
    else float32.

    Args:
        store: holds the features.
        keys: (n, 16), a key may come twice.
        choice: of layers.
        progress: told the number of rows read.

    Returns:
        (n, c)
    """
    dtype = np.float16 if store.dtype == "float16" else np.float32
    features = np.empty((len(keys), len(choice.columns)), dtype=dtype)
    done = 0
    for positions, part in store.stream(keys):
        features[positions] = choice.take(part)
        done += len(positions)
        progress("reading features", done, len(keys), "rows")
    return features
