"""Lance: a table of the columns `key` and `feature`, appended to shard by shard, with an index on the keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.way import Floats, Rows, block_rows, in_order, sync, to_float16, to_float32
from cache.keys import Keys

TABLE = "features.lance"


class LanceTable:
    """A table whose every shard is one append, which Lance makes visible as a whole."""

    name = "lance"
    settings = (
        "`write_dataset(mode='append')` of a shard at a time in its stable storage version, vectors as a fixed-size"
        " list of float16, which it does not compress; synced after each; a BTREE index on the keys after the last;"
        " streams by `to_batches`, rows by `take` of ascending numbers; threads as by default, one a core"
    )
    packages: tuple[str, ...] = ("pylance", "pyarrow")
    by_number = True

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        import lance

        done: set[Path] = {path for path in folder.rglob("*") if path.is_file()}
        for low, keys, features in rows.shards(start):
            mode = "append" if low else "create"
            dataset = lance.write_dataset(arrow_table(keys, features), folder / TABLE, mode=mode)
            if low + len(keys) == len(rows):
                dataset.create_scalar_index("key", "BTREE")
            sync(folder, done)
            written(low + len(keys))

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows of the last version; files of an append that was not finished are unnamed, and nothing reads them."""
        import lance

        return lance.dataset(folder / TABLE).count_rows() if (folder / TABLE / "_versions").exists() else 0

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        import lance

        yield _Reader(lance.dataset(folder / TABLE))

    def finder(self, reader: "_Reader") -> Callable[[Keys], Floats]:
        """The index on the keys."""
        return reader.find

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return sorted((folder / TABLE / "data").glob("*.lance"))


class _Reader:
    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._width = dataset.schema.field("feature").type.list_size

    def keys(self) -> Keys:
        return key_bytes(self._dataset.to_table(columns=["key"]))

    def stream(self) -> Iterator[Floats]:
        for batch in self._dataset.to_batches(columns=["feature"], batch_size=block_rows(self._width)):
            yield to_float32(self._values(batch.column("feature")))

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        return in_order(numbers, self._take, self._width)

    def find(self, keys: Keys) -> Floats:
        """Rows found through the index, in the order of the keys. Shape (m, width)."""
        literals = ", ".join(f"X'{key.hex()}'" for key in map(bytes, keys))
        found = self._dataset.to_table(columns=["key", "feature"], filter=f"key IN ({literals})")
        place = {key: at for at, key in enumerate(map(bytes, key_bytes(found)))}
        order = np.array([place[key] for key in map(bytes, keys)])
        return to_float32(self._values(found.column("feature").combine_chunks()))[order]

    def _take(self, numbers: NDArray[np.int64]) -> NDArray[np.float16]:
        return self._values(self._dataset.take(numbers, columns=["feature"]).column("feature").combine_chunks())

    def _values(self, column: Any) -> NDArray[np.float16]:
        return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, self._width)


def arrow_table(keys: Keys, features: Floats) -> Any:
    """A shard as an Arrow table: `key` as 16 bytes, `feature` as a fixed-size list of float16."""
    import pyarrow as pa

    values = pa.FixedSizeListArray.from_arrays(pa.array(to_float16(features).reshape(-1)), features.shape[1])
    buffer = pa.py_buffer(np.ascontiguousarray(keys))
    return pa.table(
        {"key": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(keys), [None, buffer]), "feature": values}
    )


def key_bytes(table: Any) -> Keys:
    """The column `key` of an Arrow table, of 16 bytes each. Shape (n, 16)."""
    column = table.column("key").combine_chunks()
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(-1, 16)
