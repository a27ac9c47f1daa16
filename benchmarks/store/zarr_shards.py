"""Zarr 3: arrays `feature` and `key` with the sharding codec, with and without its CRC-32C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.way import Floats, Rows, in_order, sync, to_float16, to_float32
from cache.keys import Keys

CHUNK_BYTES = 4 << 20
"""Size of a chunk. Zarr's guide ("Optimizing performance") asks for 1 MB at least. Of 2 KiB to 4 MiB, 4 MiB took least
in a stream and in a gather of a hundredth: a chunk costs a fixed time, and rows so near to each other share chunks."""

CHUNKS_READ = 2
"""Chunks of a block of a stream: 4 MiB a selection and 16 MiB took longer than 8."""


class ZarrShards:
    """Arrays of the full shape; a shard of the array is a shard of rows, so each is written once and whole."""

    packages: tuple[str, ...] = ("zarr", "numcodecs")
    by_number = True

    def __init__(self, *, checksums: bool) -> None:
        self.name = "zarr, crc32c" if checksums else "zarr"
        self.settings = (
            "shards as the others', chunks of 4 MiB of whole rows, no compression,"
            f" {'the crc32c codec on every chunk' if checksums else 'no checksum of chunks'}, fill value NaN so that a"
            " missing shard is seen; synced after each shard"
        )
        self._checksums = checksums

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        features, keys = self._arrays(folder) if start else self._create(folder, rows)
        done: set[Path] = {path for path in folder.rglob("*") if path.is_file()} if start else set()
        for low, some_keys, some in rows.shards(start):
            features[low : low + len(some)] = to_float16(some)
            keys[low : low + len(some)] = some_keys
            sync(folder, done)
            written(low + len(some))

    def _create(self, folder: Path, rows: Rows) -> tuple[Any, Any]:
        import zarr
        from zarr.codecs import Crc32cCodec

        codecs = [Crc32cCodec()] if self._checksums else None
        n, width = rows.features.shape
        chunk = max(1, min(rows.shard_rows, CHUNK_BYTES // (2 * width)))
        shard = -(-rows.shard_rows // chunk) * chunk
        if shard != rows.shard_rows:
            raise ValueError(f"a shard of {rows.shard_rows} rows is no whole number of chunks of {chunk}")
        features = zarr.create_array(
            folder / "feature",
            shape=(n, width),
            chunks=(chunk, width),
            shards=(shard, width),
            dtype="float16",
            compressors=codecs,
            fill_value=float("nan"),
        )
        keys = zarr.create_array(
            folder / "key",
            shape=(n, 16),
            chunks=(shard, 16),
            shards=(shard, 16),
            dtype="uint8",
            compressors=codecs,
            fill_value=0,
        )
        return features, keys

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows of the shards that both arrays have: Zarr names a shard when it is whole, and counts what is there."""
        import zarr

        try:
            arrays = self._arrays(folder)
        except (FileNotFoundError, zarr.errors.BaseZarrError):
            for path in (folder / "feature", folder / "key"):
                if path.exists():
                    raise
            return 0
        whole = [array.nchunks_initialized // (array.shards[0] // array.chunks[0]) for array in arrays]
        for left in folder.rglob("*.partial"):
            left.unlink()
        return min(len(rows), min(whole) * rows.shard_rows)

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        yield _Reader(*self._arrays(folder))

    def _arrays(self, folder: Path) -> tuple[Any, Any]:
        import zarr

        return zarr.open_array(folder / "feature"), zarr.open_array(folder / "key")

    def finder(self, reader: object) -> None:
        """None: the library has no search by key but reading all of them."""

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return sorted(path for path in (folder / "feature" / "c").rglob("*") if path.is_file())


class _Reader:
    def __init__(self, features: Any, keys: Any) -> None:
        self._keys = keys
        self._features = features

    def keys(self) -> Keys:
        return self._keys[:]

    def stream(self) -> Iterator[Floats]:
        block = self._features.chunks[0] * CHUNKS_READ
        for low in range(0, self._features.shape[0], block):
            yield to_float32(self._features[low : low + block])

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        return in_order(numbers, lambda some: self._features.oindex[some], self._features.shape[1])
