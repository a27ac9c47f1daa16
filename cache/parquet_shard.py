"""A shard as Parquet: columns key, n_tokens, crc32 and feature, readable by anything that reads Parquet.

float16 and float32 are fixed-size lists. bfloat16 has no Parquet type, and a 16-bit integer would be
stored in 32 bits, so a row's values are one fixed-size binary: little-endian bfloat16, row after row.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cache.keys import KEY_BYTES, Keys
from cache.precision import ITEM_BYTES, NUMPY_TYPES, StoreDtype
from cache.shard import Places, ShardIndex, Stored

ROW_GROUP_BYTES = 256 << 10
"""Size of a row group's vectors: to get one row, its whole row group must be read."""

GROUPS_A_READ = 4
"""Number of row groups decoded in one call."""

MAGIC = b"PAR1"
"""The bytes before the first row group."""

ARROW_TYPES = {"float16": pa.float16(), "float32": pa.float32()}


class ParquetFormat:
    """Shards as Parquet."""

    suffix = ".parquet"

    def write(self, file: BinaryIO, index: ShardIndex, stored: Stored, about: dict[str, str]) -> None:
        """See `ShardFormat.write`."""
        n, width = stored.shape
        flat = np.ascontiguousarray(stored).reshape(-1)
        if stored.dtype == np.uint16:
            column = _binary_column(flat.astype("<u2").view(np.uint8).reshape(n, 2 * width))
        else:
            column = pa.FixedSizeListArray.from_arrays(pa.array(flat), width)
        columns = {
            "key": _binary_column(index.keys),
            "n_tokens": pa.array(index.n_tokens, type=pa.int32()),
            "crc32": pa.array(index.checksums, type=pa.uint32()),
            "feature": column,
        }
        # Vectors neither repeat nor compress, and byte-stream splitting of float16 is not read by polars.
        pq.write_table(
            pa.table(columns).replace_schema_metadata(about),
            file,
            row_group_size=max(1, ROW_GROUP_BYTES // (width * stored.itemsize)),
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )

    def open(self, path: Path, dtype: StoreDtype, width: int) -> "ParquetReader":
        """See `ShardFormat.open`."""
        return ParquetReader(path, dtype, width)


class ParquetReader:
    """An open Parquet shard."""

    def __init__(self, path: Path, dtype: StoreDtype, width: int) -> None:
        self._file = pq.ParquetFile(path)
        self._width = width
        self._dtype = dtype
        expected = pa.binary(ITEM_BYTES[dtype] * width) if dtype == "bfloat16" else None
        expected = expected or pa.list_(ARROW_TYPES[dtype], width)
        found = self._file.schema_arrow.field("feature").type
        if not found.equals(expected):
            raise ValueError(f"its column feature is of type {found} instead of {expected}")
        metadata = self._file.metadata
        groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = np.cumsum([0, *groups])  # (row groups + 1,)

    def about(self) -> dict[str, str]:
        """See `ShardReader.about`."""
        metadata: dict[bytes, bytes] = self._file.schema_arrow.metadata or {}
        return {key.decode(): value.decode() for key, value in metadata.items()}

    def index(self) -> ShardIndex:
        """See `ShardReader.index`."""
        table = self._file.read(columns=["key", "n_tokens", "crc32"], use_threads=False)
        return ShardIndex(_keys(table["key"]), table["n_tokens"].to_numpy(), table["crc32"].to_numpy())

    def values(self, rows: NDArray[np.int64]) -> Stored:
        """See `ShardReader.values`."""
        values = np.empty((len(rows), self._width), dtype=NUMPY_TYPES[self._dtype])
        groups = np.searchsorted(self._starts, rows, side="right") - 1  # (rows,)
        needed, first = np.unique(groups, return_index=True)
        edges = [*first, len(rows)]
        for start in range(0, len(needed), GROUPS_A_READ):
            # A few groups at a time and no thread, so that little memory is needed besides the result.
            some = needed[start : start + GROUPS_A_READ]
            low, high = edges[start], edges[start + len(some)]
            column = self._file.read_row_groups(some.tolist(), columns=["feature"], use_threads=False)["feature"]
            before = np.cumsum([0, *(self._starts[some + 1] - self._starts[some])[:-1]])  # rows read before each group
            shift = np.repeat(self._starts[some] - before, np.diff(edges[start : start + len(some) + 1]))
            inside = rows[low:high] - shift
            read = self._array(column)
            values[low:high] = read if len(inside) == len(read) else read[inside]
        return values

    def places(self) -> Places | None:
        """See `ShardReader.places`.

        `write` puts row groups one after the other, in each the column feature last, and in it one page: its values
        are the row group's last bytes. The footer says more of a column, but pyarrow aborts on some damaged ones.
        """
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
        row_bytes = ITEM_BYTES[self._dtype] * self._width
        return Places(self._starts, len(MAGIC) + np.cumsum(sizes, dtype=np.int64) - np.diff(self._starts) * row_bytes)

    def close(self) -> None:
        """See `ShardReader.close`."""
        self._file.close()

    def _array(self, column: pa.ChunkedArray) -> Stored:
        if self._dtype == "bfloat16":
            return _bytes(column, 2 * self._width).view("<u2")
        flat: Any = column.combine_chunks().flatten()
        return flat.to_numpy(zero_copy_only=True).reshape(-1, self._width)


def _keys(column: pa.ChunkedArray) -> Keys:
    if not column.type.equals(pa.binary(KEY_BYTES)):
        raise ValueError(f"its column key is of type {column.type}")
    return _bytes(column, KEY_BYTES)


def _binary_column(rows: NDArray[np.uint8]) -> pa.Array:
    """(n, size) uint8 as n binary values of that size."""
    n, size = rows.shape
    return pa.Array.from_buffers(pa.binary(size), n, [None, pa.py_buffer(np.ascontiguousarray(rows))])


def _bytes(column: pa.ChunkedArray, size: int) -> NDArray[np.uint8]:
    """Binary values of one size as (n, size) uint8."""
    array = column.combine_chunks()
    if len(array) == 0:
        return np.empty((0, size), dtype=np.uint8)
    start = array.offset * size
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)[start : start + len(array) * size]
    return raw.reshape(-1, size)
