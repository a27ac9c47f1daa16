"""The project's feature store, with Parquet or HDF5 shards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.way import Floats, Rows
from cache import FeatureStore, Fingerprint
from cache.formats import FORMATS, FormatName
from cache.keys import Keys
from cache.sealed_shard import SealedShard


class SealedFeatures:
    """Sealing with all of its checks; streams and gathers with a checksum for every row."""

    settings = "sealed a shard at a time, durable by itself; every row is checked when it is read"
    by_number = False

    def __init__(self, shard_format: FormatName) -> None:
        self.name = f"store, {shard_format}"
        self.packages: tuple[str, ...] = ("pyarrow",) if shard_format == "parquet" else ("h5py",)
        self._format = shard_format
        self._fingerprint = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", shard_format)

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        store = FeatureStore.create(folder, self._fingerprint, rows.features.shape[1], self._format)
        with store.writing():
            for low, keys, features in rows.shards(start):
                n = len(keys)
                store.seal(f"{low:09d}", keys, np.ones(n, np.int32), features.reshape(n, 1, -1))
                written(low + n)

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows that the store holds, after the next writer has named whole shards that no line names yet."""
        store = FeatureStore.create(folder, self._fingerprint, rows.features.shape[1], self._format)
        with store.writing():
            return len(store)

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        yield _Reader(FeatureStore.open(folder, self._fingerprint.digest))

    def finder(self, reader: "_Reader") -> Callable[[Keys], Floats]:
        """The only way that the store has."""
        return reader.find

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return sorted((folder / self._fingerprint.digest / "shards").glob(f"*{FORMATS[self._format].suffix}"))


class _Reader:
    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._keys: Keys | None = None

    def keys(self) -> Keys:
        if self._keys is None:  # a command brings its keys from its tables, and never reads them from here
            store = self._store
            shards = [SealedShard(store.folder, entry, store.description) for entry in store.entries]
            self._keys = np.concatenate([np.empty((0, 16), np.uint8), *(shard.index().keys for shard in shards)])
        return self._keys

    def stream(self) -> Iterator[Floats]:
        for _, features in self._store.stream(self.keys()):
            yield features[:, 0]

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        return self.find(keys)

    def find(self, keys: Keys) -> Floats:
        return self._store.gather(keys)[:, 0]
