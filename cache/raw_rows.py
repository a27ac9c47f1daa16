"""Rows read from where their bytes lie in a file, without decoding and without a memory map.

A map would be as fast, but a file that is cut while it is read would then end the process by a signal.
"""

import os
from collections.abc import Iterable
from itertools import pairwise
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
        if len(rows):
            starts = self._places.starts
            first, last = np.searchsorted(starts, rows[[0, -1]], side="right").tolist()
            edges = [0, *np.searchsorted(rows, starts[first:last]).tolist(), len(rows)]
            for piece, (low, high) in enumerate(pairwise(edges), start=first - 1):
                if low < high and not self._read_piece(piece, rows[low:high], values[low:high]):
                    return None
        return values

    def _read_piece(self, piece: int, rows: NDArray[np.int64], values: Stored) -> bool:
        offset = int(self._places.offsets[piece]) - int(self._places.starts[piece]) * self._row_bytes
        for low, high in self._stretches(rows):
            begin, end = int(rows[low]), int(rows[high - 1]) + 1
            gaps = end - begin > high - low
            read = np.empty((end - begin, self._width), dtype=self._dtype) if gaps else values[low:high]
            if not self._fill(read, offset + begin * self._row_bytes):
                return False
            if gaps:
                values[low:high] = read[rows[low:high] - begin]
        return True

    def _stretches(self, rows: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
        """(start, stop) of stretches of rows, each read at once."""
        if rows[-1] - rows[0] == len(rows) - 1:
            return ((0, len(rows)),)
        far = np.diff(rows) > max(1, GAP_BYTES // self._row_bytes)
        return pairwise([0, *(np.flatnonzero(far) + 1).tolist(), len(rows)])

    def _fill(self, values: Stored, offset: int) -> bool:
        """Read from a byte of the file on; False if the file has no such bytes."""
        view = memoryview(values.reshape(-1).view(np.uint8))
        while len(view):
            got = os.preadv(self._descriptor, [view], offset) if offset >= 0 else 0
            if got == 0:
                return False
            view, offset = view[got:], offset + got
        return True
