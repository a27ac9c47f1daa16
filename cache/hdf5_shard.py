"""A shard as HDF5: data sets key, n_tokens, crc32 and feature, readable with plain h5py.

The values of a row are contiguous, and so are the rows: the library is needed only for the place of the first one.
HDF5 has no bfloat16: such values are uint16, and the data set's attribute `dtype` says so.
"""

from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from cache.keys import KEY_BYTES
from cache.precision import NUMPY_TYPES, StoreDtype
from cache.shard import Places, ShardIndex, Stored

LIBRARY = ("v110", "v110")
"""Version bounds of the layout: the first version in which HDF5 puts a checksum on its own metadata."""


class Hdf5Format:
    """Shards as HDF5."""

    suffix = ".h5"

    def write(self, file: BinaryIO, index: ShardIndex, stored: Stored, about: dict[str, str]) -> None:
        """See `ShardFormat.write`."""
        # Made in memory and written at once: a disk error is then a Python OSError with its number.
        with h5py.File("shard", "w", driver="core", backing_store=False, libver=LIBRARY) as shard:
            for name, value in about.items():
                shard.attrs[name] = value
            shard.create_dataset("key", data=index.keys)
            shard.create_dataset("n_tokens", data=index.n_tokens.astype("<i4"))
            shard.create_dataset("crc32", data=index.checksums.astype("<u4"))
            feature = shard.create_dataset("feature", data=stored.astype(stored.dtype.newbyteorder("<")))
            feature.attrs["dtype"] = about["dtype"]
            shard.flush()
            file.write(shard.id.get_file_image())

    def open(self, path: Path, dtype: StoreDtype, width: int) -> "Hdf5Reader":
        """See `ShardFormat.open`."""
        return Hdf5Reader(path, dtype, width)


class Hdf5Reader:
    """An open HDF5 shard."""

    def __init__(self, path: Path, dtype: StoreDtype, width: int) -> None:
        # Sealed shards never change, so no lock is needed, and a read-only folder may not allow one.
        self._file: Any = h5py.File(path, "r", locking=False)
        try:
            self._feature = self._data_set("feature", NUMPY_TYPES[dtype], width)
        except BaseException:
            self._file.close()
            raise

    def about(self) -> dict[str, str]:
        """See `ShardReader.about`."""
        return {str(key): str(value) for key, value in self._file.attrs.items()}

    def index(self) -> ShardIndex:
        """See `ShardReader.index`."""
        return ShardIndex(
            self._data_set("key", "u1", KEY_BYTES)[:],
            self._data_set("n_tokens", "<i4")[:],
            self._data_set("crc32", "<u4")[:],
        )

    def values(self, rows: NDArray[np.int64]) -> Stored:
        """See `ShardReader.values`."""
        whole = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1  # much faster as a slice
        read: Stored = self._feature[int(rows[0]) : int(rows[-1]) + 1] if whole else self._feature[rows]
        return read

    def places(self) -> Places | None:
        """See `ShardReader.places`."""
        offset = self._feature.id.get_offset()  # None where the data set is in chunks, or empty
        return None if offset is None else Places(np.array([0, len(self._feature)]), np.array([offset]))

    def close(self) -> None:
        """See `ShardReader.close`."""
        self._file.close()

    def _data_set(self, name: str, dtype: str, *rest: int) -> Any:
        found = self._file[name]
        if not isinstance(found, h5py.Dataset) or found.dtype != np.dtype(dtype) or found.shape[1:] != rest:
            raise ValueError(f"its data set {name} is {found} instead of {dtype} of shape (n, {rest})")
        return found
