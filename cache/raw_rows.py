"""Rows read from where their bytes lie in a file, without decoding and without a memory map.

A map would be as fast, but a file that is cut while it is read would then end the process by a signal.
"""

import os
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cache.precision import NUMPY_TYPES, StoreDtype
from cache.shard import Places, Stored

GAP_BYTES = 16 << 10
"""Rows closer to each other than this are read at once, with what lies between them."""


class RawRows:
    """A file open for reading rows from their places. What it gives is not checked."""

    def __init__(self, path: Path, places: Places, dtype: StoreDtype, width: int) -> None:
        self._places = places
        self._dtype = np.dtype(NUMPY_TYPES[dtype])
        self._width = width
        self._row_bytes = width * self._dtype.itemsize
        self._descriptor = os.open(path, os.O_RDONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, rows: NDArray[np.int64]) -> Stored | None:
        """Some rows, given in ascending order, each once; None if the file has no such place. Shape (rows, width).

        Raises:
            OSError: the file cannot be read.
        """
        values = np.empty((len(rows), self._width), dtype=self._dtype)
        if not len(rows):
            return values
        view = values.reshape(-1).view(np.uint8).data
        starts, size = self._places.starts, self._row_bytes
        pieces = np.searchsorted(starts, rows, side="right") - 1  # (rows,)
        offsets = self._places.offsets[pieces] + (rows - starts[pieces]) * size  # (rows,) in the file
        far = (np.diff(rows) > max(1, GAP_BYTES // size)) | (np.diff(pieces) > 0)
        edges = np.array([0, *(np.flatnonzero(far) + 1), len(rows)])
        lengths = rows[edges[1:] - 1] - rows[edges[:-1]] + 1  # rows of the file in each stretch
        for low, high, length, offset in zip(
            edges[:-1].tolist(), edges[1:].tolist(), lengths.tolist(), offsets[edges[:-1]].tolist(), strict=True
        ):
            if length == high - low:
                if not self._fill(view[low * size : high * size], offset):
                    return None
            else:
                between = np.empty((length, self._width), dtype=self._dtype)
                if not self._fill(between.reshape(-1).view(np.uint8).data, offset):
                    return None
                values[low:high] = between[rows[low:high] - rows[low]]
        return values

    def _fill(self, view: memoryview, offset: int) -> bool:
        """Read from a byte of the file on; False if the file has no such bytes."""
        while len(view):
            got = os.preadv(self._descriptor, [view], offset) if offset >= 0 else 0
            if got == 0:
                return False
            view, offset = view[got:], offset + got
        return True
