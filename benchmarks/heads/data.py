"""Rated features as the ways read them: a store of shards, and ratings planted in the features."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore, Fingerprint

ALPHAS = tuple(10.0**power for power in range(-2, 7))
PATTERNS = (5, 5, 1, 1, 1, 1, 5)
"""Numbers of objectives that are rated together: the nineteen of the published model in seven rating patterns."""
NAMES = tuple(f"objective-{number}" for number in range(sum(PATTERNS)))
SHARD_ROWS = 8192
VALIDATION = 0.1
FINGERPRINT = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", "packed")

Data = dict[str, NDArray[Any]]
"""'keys' (n, 16) uint8, 'targets' (n, k) float64 with NaN where not rated, 'patterns' (n,), 'held_out' (n,) bool."""


def generate(folder: Path, rows: int, width: int) -> None:
    """A store of float16 features whose variances fall off by a power law, and ratings planted in them.

    Every direction of the features is a mixture of all columns (three reflections), one column has a large
    constant part, as backbones have, and ratings are in steps of a fifth.
    """
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((3, width)).astype(np.float32)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    spread = np.arange(1, width + 1, dtype=np.float32) ** -0.25  # standard deviations (d,); variances: ^-0.5
    planted = rng.standard_normal((width, len(NAMES))).astype(np.float32) / np.sqrt(width)
    patterns = rng.integers(0, len(PATTERNS), rows)
    targets = np.full((rows, len(NAMES)), np.nan)
    store = FeatureStore.create(folder, FINGERPRINT, width)
    keys = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    with store.writing():
        for begin in range(0, rows, SHARD_ROWS):
            count = min(SHARD_ROWS, rows - begin)
            features = rng.standard_normal((count, width), dtype=np.float32) * spread
            for axis in axes:
                features -= 2 * np.outer(features @ axis, axis)
            features[:, 7] += 8
            features = features.astype(np.float16).astype(np.float32)
            noise = rng.standard_normal((count, len(NAMES)))
            rated = np.clip(np.round(5 * (0.5 + 0.2 * (features @ planted) + 0.15 * noise)), 0, 5) / 5
            for pattern, columns in enumerate(columns_of_patterns()):
                these = np.flatnonzero(patterns[begin : begin + count] == pattern)
                targets[begin + these[:, None], columns] = rated[these[:, None], columns]
            some = keys[begin : begin + count]
            store.seal(f"{begin:08d}", some, np.ones(count, np.int32), features.reshape(count, 1, -1))
    held_out = rng.random(rows) < VALIDATION
    np.savez(folder / "rows.npz", keys=keys, targets=targets, patterns=patterns, held_out=held_out)


def read(folder: Path, rows: int) -> tuple[FeatureStore, Data]:
    """The store, and its first rows."""
    store = FeatureStore.open(folder, FINGERPRINT.digest)
    with np.load(folder / "rows.npz") as arrays:
        return store, {name: array[:rows] for name, array in arrays.items()}


def columns_of_patterns() -> list[NDArray[np.int64]]:
    """The objectives of each rating pattern."""
    edges = np.cumsum([0, *PATTERNS])
    return [np.arange(first, last) for first, last in pairwise(edges)]
