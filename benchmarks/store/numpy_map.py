"""A bare NumPy array: `open_memmap`, filled shard by shard, and read through a memory map."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.way import Floats, Halves, Rows, block_rows, in_order, sync, to_float16, to_float32
from cache.keys import Keys

FEATURES = "features.npy"
KEYS = "keys.npy"


class NumpyMap:
    """Features and keys as one file each; a file has its full length from the start."""

    name = "numpy"
    settings = (
        "`np.lib.format.open_memmap` of the full shape, filled a shard at a time, flushed and synced after each;"
        " read through `np.load(mmap_mode='c')`, keys in a file beside"
    )
    packages: tuple[str, ...] = ("numpy",)
    by_number = True

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        mode = "r+" if start else "w+"
        shape = rows.features.shape
        features = np.lib.format.open_memmap(folder / FEATURES, mode, np.dtype(np.float16), shape)
        keys = np.lib.format.open_memmap(folder / KEYS, mode, np.dtype(np.uint8), rows.keys.shape)
        for low, some_keys, some in rows.shards(start):
            features[low : low + len(some)] = to_float16(some)
            keys[low : low + len(some)] = some_keys
            features.flush()
            keys.flush()
            if low == start:
                sync(folder)  # the folder's entries; `flush` makes the contents durable
            written(low + len(some))

    def take_up(self, folder: Path, rows: Rows) -> int:
        """None: nothing in the file tells a row that was written from one that was not."""
        return 0

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        yield _Reader(np.load(folder / FEATURES, mmap_mode="c"), np.load(folder / KEYS, mmap_mode="r"))

    def finder(self, reader: object) -> None:
        """None: the library has no search by key but reading all of them."""

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return [folder / FEATURES]


class _Reader:
    def __init__(self, features: Halves, keys: Keys) -> None:
        self._keys = keys
        self._features = features

    def keys(self) -> Keys:
        return np.array(self._keys)

    def stream(self) -> Iterator[Floats]:
        block = block_rows(self._features.shape[1])
        for low in range(0, len(self._features), block):
            yield to_float32(self._features[low : low + block])

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        return in_order(numbers, lambda some: self._features[some], self._features.shape[1])
