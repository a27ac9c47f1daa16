"""The contents of a shard in any format, and the checksums of its rows.

A manifest line has a CRC and the digest of a shard's index; the index has a CRC for each row. So every value that is
read is checked against the manifest, at the cost of reading only its row.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from cache.keys import Keys
from cache.precision import StoreDtype

Stored = NDArray[np.generic]
"""Stored values (n, layers * d): float16, float32, or uint16 with the bits of bfloat16."""

Checksums = NDArray[np.uint32]
"""Row checksums (n,) uint32."""


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """A shard without its vectors: 24 bytes per row."""

    keys: Keys
    """(n, 16) uint8"""
    n_tokens: NDArray[np.int32]
    """(n,) int32: length of each key's token sequence"""
    checksums: Checksums
    """(n,) uint32: see `row_checksums`"""

    def __len__(self) -> int:
        return len(self.keys)

    def digest(self) -> str:
        """SHA-256 of the three columns, one after the other, little-endian; hexadecimal."""
        digest = hashlib.sha256(np.ascontiguousarray(self.keys).tobytes())
        digest.update(self.n_tokens.astype("<i4").tobytes())
        digest.update(self.checksums.astype("<u4").tobytes())
        return digest.hexdigest()


def row_checksums(keys: Keys, n_tokens: NDArray[np.int32], stored: Stored) -> Checksums:
    """CRC-32 of each row: its key, its token count and its values, little-endian. Shape (n,), uint32."""
    heads = np.concatenate([keys, n_tokens.astype("<i4")[:, None].view(np.uint8)], axis=-1)  # (n, 20)
    values = np.ascontiguousarray(stored).view(np.uint8)  # (n, bytes of a row)
    starts = map(crc32, heads.view("V20")[:, 0].tolist())
    return np.fromiter(map(crc32, values, starts), dtype=np.uint32, count=len(keys))


@dataclass(frozen=True, slots=True)
class Places:
    """Where a shard's rows lie in its file: in pieces, in each of which row follows row without a gap."""

    starts: NDArray[np.int64]
    """(pieces + 1,) number of each piece's first row; at the end the number of rows"""
    offsets: NDArray[np.int64]
    """(pieces,) byte of the file at which each piece begins"""


class ShardReader(Protocol):
    """An open shard. It raises the errors of the format's library; the caller adds the file's name."""

    def about(self) -> dict[str, str]:
        """The metadata that `ShardFormat.write` was given."""

    def index(self) -> ShardIndex:
        """Keys, token counts and checksums."""

    def places(self) -> Places | None:
        """Where the file should hold the values as they are, little-endian; None if they have to be decoded.

        A row that is read from its place is right if its checksum is, and else must be decoded.
        """

    def values(self, rows: NDArray[np.int64]) -> Stored:
        """The values of some rows, given in ascending order, each once, decoded. Shape (rows, layers * d)."""

    def close(self) -> None:
        """Close the file."""


class ShardFormat(Protocol):
    """A file format for shards. All formats have the same columns under the same names."""

    suffix: str
    """Suffix of the files, with its dot."""

    def write(self, file: BinaryIO, index: ShardIndex, stored: Stored, about: dict[str, str]) -> None:
        """Write a whole shard; `about` goes into the file's own metadata. The same input gives the same bytes."""

    def open(self, path: Path, dtype: StoreDtype, width: int) -> ShardReader:
        """Open a shard whose rows are `width` values of `dtype`."""
