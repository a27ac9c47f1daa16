"""The interface that every format is measured through, and the rows that all of them are given."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cache.keys import Keys

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]

BLOCK_BYTES = 4 << 20
"""Float32 values of a block of a stream, as the store's own batches: at 16 MiB a memory map takes longer, not less."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as an extraction hands them over: float32, a shard at a time."""

    keys: Keys
    """(n, 16) uint8, random."""
    features: Floats
    """(n, width) float32, standard normal, exact in float16."""
    shard_rows: int
    """Rows that are handed over, and made durable, at a time."""

    @classmethod
    def random(cls, rows: int, width: int, shard_rows: int, seed: int = 0) -> "Rows":
        """Rows of a seed; the same in every process."""
        rng = np.random.default_rng(seed)
        features = rng.standard_normal((rows, width), dtype=np.float32)
        for low in range(0, rows, shard_rows):  # by shards, so that no second array of that size is needed
            features[low : low + shard_rows] = features[low : low + shard_rows].astype(np.float16)
        return cls(rng.integers(0, 256, (rows, 16), dtype=np.uint8), features, shard_rows)

    def __len__(self) -> int:
        return len(self.keys)

    def shards(self, start: int = 0) -> Iterator[tuple[int, Keys, Floats]]:
        """First row, keys and features of every shard from row `start` on."""
        for low in range(start, len(self), self.shard_rows):
            some = slice(low, low + self.shard_rows)
            yield low, self.keys[some], self.features[some]


class Reader(Protocol):
    """Stored rows, open for reading."""

    def keys(self) -> Keys:
        """Keys of all rows, in the order of the stream. Shape (n, 16)."""

    def stream(self) -> Iterator[Floats]:
        """All rows as float32, in blocks of `BLOCK_BYTES` or of what the library recommends. Shapes (rows, width)."""

    def gather(self, keys: Keys, numbers: NDArray[np.int64]) -> Floats:
        """Some rows in this order, by their numbers, or by their keys where `by_number` is False. Shape (m, width)."""


class Way(Protocol):
    """A format with the library that writes and reads it."""

    name: str
    settings: str
    """The settings it was given, and why, in a sentence."""
    packages: tuple[str, ...]
    """Distributions whose versions belong to the figures."""
    by_number: bool
    """Whether `gather` looks rows up by number, which the caller must know; else the library finds them by key."""

    def write(self, folder: Path, rows: Rows, start: int, written: Callable[[int], None]) -> None:
        """Write the rows from `start` on, shard by shard; `written` is told how many rows are durable.

        With `start` 0 the folder is empty; else `take_up` said it.
        """

    def take_up(self, folder: Path, rows: Rows) -> int:
        """Rows from the first on that need not be written again after a kill, by what the files themselves tell.

        What is in the way of going on is removed.
        """

    def open(self, folder: Path) -> AbstractContextManager[Reader]:
        """Open what is there for reading."""

    def finder(self, reader: Any) -> Callable[[Keys], Floats] | None:
        """The reader's own search by key, if the library has one: keys (m, 16) to rows (m, width) in their order."""

    def data_files(self, folder: Path) -> list[Path]:
        """Files that hold features."""


def to_float32(stored: Halves) -> Floats:
    """Float32 of float16 by torch, which uses the processor's instruction for it; NumPy takes ten times as long."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # and nothing writes to it
        return torch.from_numpy(stored).float().numpy()


def to_float16(features: Floats) -> Halves:
    """Float16 of float32 by torch, for the same reason."""
    import torch

    return torch.from_numpy(features).half().numpy()


def block_rows(width: int) -> int:
    """Rows of a block of a stream."""
    return max(1, BLOCK_BYTES // (4 * width))


def in_order(numbers: NDArray[np.int64], read: Callable[[NDArray[np.int64]], Any], width: int) -> Floats:
    """Rows that a library reads faster by ascending number, in the order that was asked for. Shape (m, width)."""
    import torch

    order = np.argsort(numbers, kind="stable")
    made = torch.empty((len(numbers), width), dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        made[torch.from_numpy(order)] = torch.from_numpy(read(numbers[order])).float()
    return made.numpy()


def sync(folder: Path, done: set[Path] | None = None) -> None:
    """Make files and folders below `folder` durable: fsync of every file that is not in `done`, and of every folder.

    None of the libraries does it; their caller must.
    """
    done = set() if done is None else done
    paths = [path for path in folder.rglob("*") if path not in done]
    folders = [path for path in paths if path.is_dir()]
    for path in [*(path for path in paths if path.is_file()), *folders, folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    done.update(path for path in paths if path.is_file())
