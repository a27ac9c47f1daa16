"""Rated rows as arrays: which stored feature each has, what it rates, and the groups that it is summed in."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys
from cache.prefetch import prefetched
from heads.ridge.statistics import GramStatistics

BATCH_BYTES = 16 << 20
"""Size of a batch of float32 features. A batch falls into a piece for each group, and a piece costs an addition to its
group's (width, k) sums, however short it is: with 35 groups of 4,096 columns, all but the products of a pass took 1.6
times as long at the store's own 4 MiB."""


@dataclass(frozen=True, eq=False)
class RatedRows:
    """n rated responses with m distinct features, ready to be summed."""

    keys: Keys
    """(m, 16) uint8, each once."""
    places: NDArray[np.int64]
    """(n,) index into `keys`."""
    targets: NDArray[np.float64]
    """(n, k), NaN where not rated."""
    buckets: NDArray[np.int64]
    """(n,) index into `FRACTIONS`."""
    part: NDArray[np.int64]
    """(n,) index into `parts`."""
    parts: tuple[tuple[str, str], ...]
    """Data set and split of each part."""

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return sum(array.nbytes for array in (self.keys, self.places, self.targets, self.buckets, self.part))

    @cached_property
    def _by_key(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows by their key, (n,), and where each key's begin among them, (m + 1,)."""
        order = np.argsort(self.places, kind="stable")
        return order, np.searchsorted(self.places[order], np.arange(len(self.keys) + 1))

    def of(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of some keys, key after key.

        Args:
            chosen: (c,) index into `keys`.

        Returns:
            rows: (r,) their numbers.
            counts: (c,) how many of them each key has.
        """
        order, starts = self._by_key
        counts = starts[chosen + 1] - starts[chosen]  # (c,)
        begins = np.cumsum(counts) - counts
        return order[np.repeat(starts[chosen] - begins, counts) + np.arange(counts.sum())], counts

    def with_keys(self, chosen: NDArray[np.int64]) -> "RatedRows":
        """The rows of some keys alone; `chosen` (c,) is an index into `keys`."""
        rows, counts = self.of(chosen)
        return RatedRows(
            self.keys[chosen],
            np.repeat(np.arange(len(chosen)), counts),
            self.targets[rows],
            self.buckets[rows],
            self.part[rows],
            self.parts,
        )

    def digest(self) -> str:
        """BLAKE2b of all that sums over these rows are made of but for the features, in hexadecimal."""
        digest = hashlib.blake2b(digest_size=16)
        numbers, part = np.unique(self.part, return_inverse=True)  # other rows may number the parts otherwise
        digest.update(repr([self.parts[number] for number in numbers]).encode())
        for array in (self.keys, self.places, self.targets, self.buckets, part):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def add_rows(statistics: GramStatistics, store: FeatureStore, rows: RatedRows, done: Callable[[int], None]) -> None:
    """Add rows in one pass over their features, which are read ahead while others are multiplied.

    Args:
        statistics: extended in place.
        store: holds the features.
        rows: the rows.
        done: called with the number of keys whose rows are added.
    """
    added = 0
    batch_rows = max(1, BATCH_BYTES // (4 * store.description.width))
    for positions, features in prefetched(store.stream(rows.keys, batch_rows)):
        some, counts = rows.of(positions)
        flat = features.reshape(len(features), -1)  # (b, layers * d)
        if (counts > 1).any():
            flat = np.repeat(flat, counts, axis=0)  # (rows, layers * d)
        for number in np.unique(rows.part[some]):
            chosen = rows.part[some] == number
            these = some[chosen]
            dataset, split = rows.parts[number]
            own = flat if chosen.all() else flat[chosen]
            statistics.add(dataset, split, own, rows.targets[these], rows.buckets[these])
        added += len(positions)
        done(added)
    statistics.flush()
