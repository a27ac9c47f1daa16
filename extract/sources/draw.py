"""The rows that a limit draws: over the whole set, the same on every machine.

The first rows of a set are no sample of it: SHP's first 100,000 are from 5 of its 18 subreddits, for its files are
read in the order of their names. So rows are drawn by a hash of their names.
"""

import hashlib
import heapq
from collections.abc import Collection, Iterator, Sequence


def draw(files: Sequence[tuple[str, int]], limit: int) -> list[Collection[int]]:
    """The numbers of the drawn rows in each file.

    The rows whose names have the lowest hashes are drawn, so that a larger limit draws the rows of a smaller one and
    some more.

    Args:
        files: name and number of rows of each file.
        limit: number of rows to draw over all files; all of them where there are no more.
    """
    if sum(count for _, count in files) <= limit:
        return [range(count) for _, count in files]
    drawn: list[set[int]] = [set() for _ in files]
    for _, file, number in heapq.nsmallest(limit, _hashed(files)):
        drawn[file].add(number)
    return list(drawn)


def row_name(file: str, number: int) -> str:
    """Name of a row inside its data set; `number` counts the rows of the file from 0."""
    return f"{file}#{number}"


def _hashed(files: Sequence[tuple[str, int]]) -> Iterator[tuple[bytes, int, int]]:
    for file, (name, count) in enumerate(files):
        for number in range(count):
            yield hashlib.blake2b(row_name(name, number).encode(), digest_size=8).digest(), file, number
