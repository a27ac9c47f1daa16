"""Sums over one group of rows, and the rows themselves while they are smaller than the matrix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.allocator import give_back_freed_memory
from heads.ridge.layout import Layout
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.symmetric import Real, Scratch, add_lower, packed_length

BLOCK_ROWS = 2048
"""Rows multiplied at once. In float32 the sum over a block is within 2e-6 of float64 even for equal rows, where
rounding never cancels, and adding a block to a group's total costs 3e-8 at most: 1e-5 is kept up to 500,000 rows
of a group in this worst case, and for rows that differ by a wide margin."""

MATRIX = "xx."
"""How the names of the packed matrices in a file begin; the number of the block of columns follows."""


class Group:
    """Sums over n rows of features x (width,) and targets y (k,); an unrated target counts as 0.

    Args:
        layout: shapes and dtypes.
        large: whether the group is a piece of one with more rows than are kept: its rows wait for a block alone, so
            that a process that sums some of them multiplies them itself.

    Attributes:
        n: rows.
        xy: (width, k) float64
        x: (width,) float64
        y: (k,) float64
        yy: (k,) float64
    """

    def __init__(self, layout: Layout, large: bool = False) -> None:
        self.layout = layout
        self.large = large
        self.n = 0
        self.xy = np.zeros((layout.width, layout.targets))
        self.x = np.zeros(layout.width)
        self.y = np.zeros(layout.targets)
        self.yy = np.zeros(layout.targets)
        self._kept: list[NDArray[Any]] = []
        self._kept_targets: list[NDArray[np.float64]] = []
        self._packed: list[Real] = []
        self._file: StoredArrays | None = None

    @property
    def is_rows(self) -> bool:
        """Whether all rows are kept and none has been multiplied."""
        return self.kept == self.n

    @property
    def kept(self) -> int:
        """Number of rows that have not been multiplied."""
        return self.waiting + (0 if self._file is None else self._file.length("rows"))

    @property
    def waiting(self) -> int:
        """Number of rows in memory that have not been multiplied."""
        return sum(map(len, self._kept))

    @property
    def file(self) -> StoredArrays | None:
        """The file of rows and matrices, when they are not in memory; rows that were added since wait there."""
        return self._file

    @property
    def bytes(self) -> int:
        """Memory that `save` and `spill` would free."""
        return sum(array.nbytes for array in (*self._kept, *self._kept_targets, *self._packed))

    @property
    def buffered_bytes(self) -> int:
        """Memory of rows that are buffered for the next product with a matrix in memory."""
        return sum(array.nbytes for array in self._kept) if self._packed else 0

    def packed(self, block: int) -> Real | None:
        """The packed x' x of the multiplied rows in a block of columns; None if no row was multiplied."""
        if not self._has_matrix:
            return None
        return self._packed[block] if self._file is None else self._file[_name(block)]

    def rows(self) -> Iterator[tuple[Real, NDArray[np.float64]]]:
        """The unmultiplied rows (b, width) and their targets (b, k), at most `BLOCK_ROWS` at a time."""
        for features, values in _blocks(*self._unmultiplied()):
            yield self.layout.numbers(features), values

    def add(self, features: Real, targets: NDArray[np.float64], scratch: Scratch) -> None:
        """Add rows: features (n, width), targets (n, k) with 0 where not rated."""
        x = features.astype(self.layout.product, copy=False)  # (n, width)
        self.n += len(x)
        self.xy += x.T @ targets.astype(x.dtype)
        self.x += x.sum(axis=0, dtype=np.float64)
        self.y += targets.sum(axis=0)
        self.yy += np.square(targets).sum(axis=0)
        self._kept.append(self.layout.lossless(features))
        self._kept_targets.append(targets.copy())
        self._multiply_if_many(scratch)

    def merge(self, other: "Group", scratch: Scratch) -> None:
        """Add the rows of another group of the same layout, which this one has not seen."""
        self.load()
        self.n += other.n
        self.xy += other.xy
        self.x += other.x
        self.y += other.y
        self.yy += other.yy
        if other._has_matrix and not self._packed:
            self._packed = self._no_products()
        for block, mine in enumerate(self._packed):
            if (theirs := other.packed(block)) is not None:
                mine += theirs
        features, targets = other._unmultiplied()
        self._kept += features
        self._kept_targets += targets
        self._multiply_if_many(scratch)

    def flush(self, scratch: Scratch) -> None:
        """Multiply buffered rows, if there is a matrix; a group without one keeps its rows."""
        if not self.is_rows and self.kept:
            self.multiply(scratch)

    def multiply(self, scratch: Scratch) -> None:
        """Multiply all rows into the matrices, in memory."""
        self.load()
        first_time = not self._packed
        if first_time:
            self._packed = self._no_products()
        for features, _ in _blocks(self._kept, self._kept_targets):
            numbers = self.layout.numbers(features)  # (b, width)
            for (first, end), packed in zip(self.layout.blocks, self._packed, strict=True):
                add_lower(scratch.product(numbers[:, first:end]), packed)
        self._kept, self._kept_targets = [], []
        if first_time:
            give_back_freed_memory()

    def spill(self, path: Path, scratch: Scratch) -> None:
        """Free the memory of rows and matrices. Rows that waited for a matrix in a file are multiplied into it."""
        if self._has_matrix and self._file is not None and self.waiting:
            self.multiply(scratch)
        self.save(path, durable=False)

    def save(self, path: Path, durable: bool = True) -> StoredArrays:
        """Move rows and matrices to a file; they are read from it when they are needed.

        The file of a group that has one, and no rows since, is renamed. Without `durable` the file may be lost in a
        crash.
        """
        if self.waiting:
            self.load()
        if self._file is None:
            self._file = StoredArrays.write(path, self.arrays(), durable)
            self._kept, self._kept_targets, self._packed = [], [], []
            give_back_freed_memory()
        else:
            self._file.rename(path, durable)
        return self._file

    def copy(self, path: Path) -> StoredArrays:
        """Write rows and matrices to a file, and keep in memory what is there; for a group in a file, as `save`."""
        return StoredArrays.write(path, self.arrays()) if self._file is None else self.save(path)

    def check(self) -> None:
        """Check every array in the file against its checksum.

        Raises:
            StatisticsDamageError: one does not match.
        """
        if self._file is not None:
            for name in self._file.names:
                self._file[name]

    def load(self) -> None:
        """Move rows and matrices back to memory."""
        if self._file is None:
            return
        file, self._file = self._file, None
        self._packed = [file[name] for name in file.names if name.startswith(MATRIX)]
        if file.length("rows"):
            self._kept.insert(0, file["rows"])
            self._kept_targets.insert(0, file["targets"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of a group in memory, for a file."""
        rows = np.concatenate([self.layout.lossless(np.empty((0, self.layout.width), np.float32)), *self._kept])
        targets = np.concatenate([np.empty((0, self.layout.targets)), *self._kept_targets])
        packed = {_name(block): array for block, array in enumerate(self._packed)}
        sums = {"xy": self.xy, "x": self.x, "y": self.y, "yy": self.yy}
        return {"rows": rows, "targets": targets, **packed, **sums}

    @classmethod
    def in_file(cls, layout: Layout, n: int, file: StoredArrays) -> "Group":
        """A group whose rows and matrices are in a file that `save` wrote."""
        group = cls(layout)
        group.n = n
        group.xy, group.x, group.y, group.yy = (file[name] for name in ("xy", "x", "y", "yy"))
        group._file = file
        return group

    def _unmultiplied(self) -> tuple[list[NDArray[Any]], list[NDArray[np.float64]]]:
        """The kept rows and their targets, in pieces."""
        if self._file is None or not self._file.length("rows"):
            return self._kept, self._kept_targets
        return [self._file["rows"], *self._kept], [self._file["targets"], *self._kept_targets]

    def _no_products(self) -> list[Real]:
        lengths = (packed_length(end - first) for first, end in self.layout.blocks)
        return [np.zeros(length, self.layout.product) for length in lengths]

    @property
    def _has_matrix(self) -> bool:
        return bool(self._packed) if self._file is None else _name(0) in self._file.names

    def _multiply_if_many(self, scratch: Scratch) -> None:
        if self.kept > (BLOCK_ROWS if self._has_matrix or self.large else self.layout.kept_rows):
            self.multiply(scratch)


def _name(block: int) -> str:
    return f"{MATRIX}{block}"


def _blocks(
    kept: list[NDArray[Any]], targets: list[NDArray[np.float64]]
) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
    """Rows regrouped into blocks of `BLOCK_ROWS`; the last block may be shorter."""
    features: list[NDArray[Any]] = []
    values: list[NDArray[np.float64]] = []
    room = BLOCK_ROWS
    for piece, rated in zip(kept, targets, strict=True):
        start = 0
        while start < len(piece):
            taken = min(room, len(piece) - start)
            features.append(piece[start : start + taken])
            values.append(rated[start : start + taken])
            start, room = start + taken, room - taken
            if room == 0:
                yield np.concatenate(features), np.concatenate(values)
                features, values, room = [], [], BLOCK_ROWS
    if features:
        yield np.concatenate(features), np.concatenate(values)
