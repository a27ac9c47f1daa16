"""Hugging Face datasets: one data set a shard, saved as Arrow, joined when they are opened."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.lance_table import arrow_table, key_bytes
from benchmarks.store.way import Floats, Rows, block_rows, in_order, sync, to_float32
from cache.keys import Keys


class ArrowDatasets:
    """Folders named by their first row, as `save_to_disk` writes them."""

    name = "datasets"
    settings = (
        "`Dataset.save_to_disk` of a shard at a time (a data set cannot be appended to), synced after each;"
        " `load_from_disk` and `concatenate_datasets` to open; format 'arrow', whose batches are views of a memory map"
    )
    packages: tuple[str, ...] = ("datasets", "pyarrow")
    by_number = True

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """As `Way.write`."""
        datasets = _library()
        done: set[Path] = {path for path in folder.rglob("*") if path.is_file()}
        for low, keys, features in rows.shards(start):
            datasets.Dataset(arrow_table(keys, features)).save_to_disk(folder / f"{low:09d}", num_shards=1)
            sync(folder, done)
            written(low + len(keys))

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows of the folders that can be loaded; one that cannot is removed."""
        kept = 0
        for path in sorted(folder.iterdir()):
            try:
                kept += len(_library().load_from_disk(path))
            except Exception:  # pyarrow, json and datasets each have errors of their own for a cut file
                shutil.rmtree(path)
        return kept

    @contextmanager
    def open(self, folder: Path) -> Iterator["_Reader"]:
        """As `Way.open`."""
        datasets = _library()
        parts = [datasets.load_from_disk(path) for path in sorted(folder.iterdir())]
        yield _Reader(datasets.concatenate_datasets(parts))

    def finder(self, reader: object) -> None:
        """None: the library has no search by key but reading all of them."""

    def data_files(self, folder: Path) -> list[Path]:
        """As `Way.data_files`."""
        return sorted(folder.glob("*/data-*.arrow"))


class _Reader:
    def __init__(self, dataset: Any) -> None:
        self._keys = dataset.with_format("arrow", columns=["key"])
        self._rows = dataset.with_format("arrow", columns=["feature"])
        self._width = dataset.features["feature"].length

    def keys(self) -> Keys:
        return key_bytes(self._keys[:])

    def stream(self) -> Iterator[Floats]:
        for batch in self._rows.iter(block_rows(self._width)):
            yield to_float32(self._values(batch))

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        return in_order(numbers, lambda some: self._values(self._rows[some]), self._width)

    def _values(self, batch: Any) -> NDArray[np.float16]:
        column = batch.column("feature").combine_chunks()
        return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, self._width)


def _library() -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets
