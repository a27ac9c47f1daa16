"""One group of rows: sums over them, with the rows themselves while those are smaller than the matrix."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cache.precision import from_storage, to_storage
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.symmetric import Real, Scratch, add_lower, packed_length

Storage = Literal["float16", "bfloat16", "float32", "float64"]

BLOCK_ROWS = 2048
"""Rows multiplied at once. In float32 the sum over a block is within 2e-6 of float64 even for equal rows, where
rounding never cancels, and adding a block to a group's total costs 3e-8 at most: 1e-5 is kept up to 500,000 rows
of a group in this worst case, and for rows that differ by a wide margin."""

EXACT_WIDTH = 1024
"""Features of at most this width are multiplied in float64, which takes twice the time, and seconds there.
Wider ones in float32: products of float16 or bfloat16 are exact in it, and only their sums are rounded."""

KEPT_BYTES = 1 << 20
"""Rows of this size are kept even where the matrix is smaller still."""

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class Layout:
    """What all groups of some statistics have in common."""

    width: int
    """layers * d"""
    targets: int
    blocks: tuple[tuple[int, int], ...]
    """Columns (first, end) whose products with each other are summed."""
    storage: Storage
    """What the features were stored as; rows are kept in it, without loss."""
    product: Literal["float32", "float64"]
    """What features are multiplied in."""

    @property
    def kept_rows(self) -> int:
        """Most rows that are kept: as many as take no more room than the matrices."""
        matrices = sum(packed_length(end - first) for first, end in self.blocks) * ITEM_BYTES[self.product]
        return max(matrices, KEPT_BYTES) // (self.width * ITEM_BYTES[self.storage])

    def lossless(self, features: Real) -> NDArray[Any]:
        """Features as they are kept."""
        if self.storage == "float64":
            return features.astype(np.float64)
        return to_storage(features.astype(np.float32, copy=False), self.storage)

    def numbers(self, kept: NDArray[Any]) -> Real:
        """Kept features as numbers to be multiplied."""
        values: Real = kept if self.storage == "float64" else from_storage(kept, self.storage)
        return values.astype(self.product, copy=False)


class Group:
    """Sums over n rows of features x (width,) and targets y (k,); an unrated target counts as 0.

    Attributes:
        n: rows.
        xy: (width, k) float64
        x: (width,) float64
        y: (k,) float64
        yy: (k,) float64
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.n = 0
        self.xy = np.zeros((layout.width, layout.targets))
        self.x = np.zeros(layout.width)
        self.y = np.zeros(layout.targets)
        self.yy = np.zeros(layout.targets)
        self._kept: list[NDArray[Any]] = []
        self._kept_targets: list[NDArray[np.float64]] = []
        self._packed: list[Real] = []
        self._shelf: StoredArrays | None = None  # where rows and matrices lie when they are not in memory

    @property
    def is_rows(self) -> bool:
        """Whether all rows are there, and nothing was multiplied yet."""
        return self.kept == self.n

    @property
    def kept(self) -> int:
        """Rows not multiplied yet."""
        if self._shelf is not None:
            return self._shelf.length("rows")
        return sum(map(len, self._kept))

    @property
    def bytes(self) -> int:
        """Of memory that shelving would free."""
        return sum(array.nbytes for array in (*self._kept, *self._kept_targets, *self._packed))

    @property
    def waiting_bytes(self) -> int:
        """Of rows in memory that stand beside a matrix and are not in it yet."""
        return sum(array.nbytes for array in self._kept) if self._packed else 0

    def packed(self) -> tuple[Real, ...]:
        """The packed x' x of the multiplied rows, one for each block of columns; none if there are none."""
        if self._shelf is not None:
            return tuple(self._shelf[name] for name in self._shelf.names if name.startswith("xx."))
        return tuple(self._packed)

    def rows(self) -> Iterator[tuple[Real, NDArray[np.float64]]]:
        """The rows not multiplied yet, at most `BLOCK_ROWS` at a time: (b, width), and targets (b, k)."""
        kept, targets = self._kept, self._kept_targets
        if self._shelf is not None:
            kept, targets = ([self._shelf["rows"]], [self._shelf["targets"]]) if self.kept else ([], [])
        for features, values in _blocks(kept, targets):
            yield self.layout.numbers(features), values

    def add(self, features: Real, targets: NDArray[np.float64], scratch: Scratch) -> None:
        """Add rows: features (n, width), targets (n, k) with 0 where not rated."""
        self.recall()
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
        """Add the rows of another group of the same layout."""
        self.recall()
        self.n += other.n
        for name in ("xy", "x", "y", "yy"):
            sums = getattr(self, name)
            sums += getattr(other, name)
        packed = other.packed()
        if packed and not self._packed:
            self._packed = [array.copy() for array in packed]
        elif packed:
            self._packed = [mine + theirs for mine, theirs in zip(self._packed, packed, strict=True)]
        if other._shelf is None:
            self._kept += other._kept
            self._kept_targets += other._kept_targets
        elif other.kept:
            self._kept.append(other._shelf["rows"])
            self._kept_targets.append(other._shelf["targets"])
        self._multiply_if_many(scratch)

    def settle(self, scratch: Scratch) -> None:
        """Multiply what is left of rows, if any were multiplied before: nothing is kept beside a matrix."""
        if not self.is_rows and self.kept:
            self.recall()
            self.multiply(scratch)

    def multiply(self, scratch: Scratch) -> None:
        """Multiply the rows in memory into the matrices."""
        first_time = not self._packed
        if first_time:
            lengths = [packed_length(end - first) for first, end in self.layout.blocks]
            self._packed = [np.zeros(length, self.layout.product) for length in lengths]
        for features, _ in _blocks(self._kept, self._kept_targets):
            numbers = self.layout.numbers(features)  # (b, width)
            for (first, end), packed in zip(self.layout.blocks, self._packed, strict=True):
                add_lower(scratch.product(numbers[:, first:end]), packed)
        self._kept, self._kept_targets = [], []
        if first_time:
            _give_back_freed_memory()

    def shelve(self, path: Path, durable: bool = True) -> StoredArrays:
        """Have rows and matrices in a file, and let go of them; they are read when they are needed.

        A group that lies in a file already stays in it, under the new name. Without `durable` the file may be
        lost in a crash.
        """
        if self._shelf is None:
            self._shelf = StoredArrays.write(path, self.arrays(), durable)
            self._kept, self._kept_targets, self._packed = [], [], []
        else:
            self._shelf.rename(path, durable)
        return self._shelf

    def check(self) -> None:
        """See that what lies in a file is what was written.

        Raises:
            StatisticsDamageError: it is not.
        """
        if self._shelf is not None:
            for name in self._shelf.names:
                self._shelf[name]

    def recall(self) -> None:
        """Have rows and matrices in memory again."""
        if self._shelf is None:
            return
        shelf, self._shelf = self._shelf, None
        self._packed = [shelf[name] for name in shelf.names if name.startswith("xx.")]
        if shelf.length("rows"):
            self._kept, self._kept_targets = [shelf["rows"]], [shelf["targets"]]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that the group is made of, for a file."""
        rows = np.concatenate([self.layout.lossless(np.empty((0, self.layout.width), np.float32)), *self._kept])
        targets = np.concatenate([np.empty((0, self.layout.targets)), *self._kept_targets])
        packed = {f"xx.{number}": array for number, array in enumerate(self._packed)}
        sums = {"xy": self.xy, "x": self.x, "y": self.y, "yy": self.yy}
        return {"rows": rows, "targets": targets, **packed, **sums}

    @classmethod
    def shelved(cls, layout: Layout, n: int, shelf: StoredArrays) -> "Group":
        """A group whose rows and matrices lie in a file that `shelve` wrote."""
        group = cls(layout)
        group.n = n
        group.xy, group.x, group.y, group.yy = (shelf[name] for name in ("xy", "x", "y", "yy"))
        group._shelf = shelf
        return group

    def _multiply_if_many(self, scratch: Scratch) -> None:
        if self.kept > (BLOCK_ROWS if self._packed else self.layout.kept_rows):
            self.multiply(scratch)


def _blocks(
    kept: list[NDArray[Any]], targets: list[NDArray[np.float64]]
) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
    """Pieces of rows joined and cut so that all blocks but the last have `BLOCK_ROWS`."""
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


def _give_back_freed_memory() -> None:
    """Have the C library return what it holds for later, where it can.

    Rows come in small pieces, group beside group. glibc keeps their memory when they are freed, and the matrix in
    their place is too large to be put there: all groups' rows would be held beside all their matrices.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
