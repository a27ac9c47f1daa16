"""Shapes and dtypes of statistics, and how many rows a group keeps as they are."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cache.precision import from_storage, to_storage
from heads.ridge.symmetric import Real, packed_length

Storage = Literal["float16", "bfloat16", "float32", "float64"]

EXACT_WIDTH = 1024
"""Features of at most this width are multiplied in float64, which takes twice the time, and seconds there.
Wider ones in float32: products of float16 or bfloat16 are exact in it, and only their sums are rounded."""

KEPT_BYTES = 1 << 20
"""Rows up to this size are kept even where the matrix is smaller."""

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class Layout:
    """Shapes and dtypes shared by all groups of some statistics."""

    width: int
    """layers * d"""
    targets: int
    blocks: tuple[tuple[int, int], ...]
    """Ranges (first, end) of columns; products are summed within each range."""
    storage: Storage
    """Dtype of the stored features; rows are kept in it, without loss."""
    product: Literal["float32", "float64"]
    """Dtype in which features are multiplied."""

    @property
    def kept_rows(self) -> int:
        """Largest number of kept rows: as many as take no more memory than the matrices."""
        matrices = sum(packed_length(end - first) for first, end in self.blocks) * ITEM_BYTES[self.product]
        return max(matrices, KEPT_BYTES) // (self.width * ITEM_BYTES[self.storage])

    def within(self, first: int, end: int) -> tuple[int, slice]:
        """The block that holds some columns, and where they are in it.

        Raises:
            ValueError: no block holds them all.
        """
        for block, (start, stop) in enumerate(self.blocks):
            if start <= first and end <= stop:
                return block, slice(first - start, end - start)
        raise ValueError("these statistics hold each layer by itself: choose one")

    def lossless(self, features: Real) -> NDArray[Any]:
        """Features in the storage dtype."""
        if self.storage == "float64":
            return features.astype(np.float64)
        return to_storage(features.astype(np.float32, copy=False), self.storage)

    def numbers(self, kept: NDArray[Any]) -> Real:
        """Kept features in the dtype of products."""
        values: Real = kept if self.storage == "float64" else from_storage(kept, self.storage)
        return values.astype(self.product, copy=False)
