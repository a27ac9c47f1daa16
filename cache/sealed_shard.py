"""Shards that the manifest names: every read is checked."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.description import StoreDescription
from cache.errors import DamageError
from cache.formats import FORMATS
from cache.keys import Keys
from cache.manifest import ShardEntry
from cache.names import ShardFile
from cache.raw_rows import RawRows
from cache.shard import Checksums, Places, ShardIndex, ShardReader, Stored, row_checksums

FOLDER = "shards"
"""Folder of the shards inside a store."""


def shard_path(folder: Path, name: ShardFile) -> Path:
    """Where a shard of a store lies."""
    return folder / FOLDER / name


class SealedShard:
    """A shard of a store, closed."""

    def __init__(self, folder: Path, entry: ShardEntry, description: StoreDescription) -> None:
        self.path = shard_path(folder, entry.shard)
        self.entry = entry
        self.width = description.width
        self._description = description
        self._places: Places | None = None

    def index(self) -> ShardIndex:
        """Keys, token counts and row checksums, as they were sealed.

        Raises:
            DamageError: the file is missing, or has another size or index.
        """
        self.check_size()
        with self._open() as reader, self._reading():
            index = reader.index()
            self._places = reader.places()
        if len(index) != self.entry.rows or index.digest() != self.entry.index:
            raise DamageError(f"the keys in {self.path} are not those that were sealed")
        return index

    def check_size(self) -> None:
        """Check that the file exists in its full length.

        Raises:
            DamageError: it does not.
        """
        if not self.path.exists():
            raise DamageError(f"{self.path} is gone although the manifest names it")
        if not self.path.is_file():
            raise DamageError(f"{self.path} is no file although the manifest names it")
        size = self.path.stat().st_size
        if size != self.entry.bytes:
            raise DamageError(f"{self.path} has {size:,} bytes instead of {self.entry.bytes:,}")

    @contextmanager
    def open(self, *, decode: bool = False) -> Iterator["OpenShard"]:
        """Open the shard for reading rows, from their places if `index` was called before and found them.

        Args:
            decode: have all rows decoded by the format's library, as other readers of the file do.

        Raises:
            DamageError: the file cannot be read.
        """
        description = self._description
        with ExitStack() as opened:
            raw = None
            if self._places is not None and not decode:
                with self._reading():
                    raw = RawRows(self.path, self._places, description.dtype, description.width)
                opened.enter_context(raw)
            yield OpenShard(self, raw, opened)

    @contextmanager
    def _open(self) -> Iterator[ShardReader]:
        with self._reading():
            description = self._description
            reader = FORMATS[description.format].open(self.path, description.dtype, description.width)
        try:
            yield reader
        finally:
            reader.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise
        except Exception as error:  # a damaged file makes these libraries raise nearly anything
            reason = " ".join(str(error).split())
            raise DamageError(f"{self.path} cannot be read ({reason})") from error


class OpenShard:
    """A shard of a store, open for reading."""

    def __init__(self, shard: SealedShard, raw: RawRows | None, opened: ExitStack) -> None:
        self._shard = shard
        self._raw = raw
        self._opened = opened
        self._reader: ShardReader | None = None

    def values(self, rows: NDArray[np.int64], keys: Keys, n_tokens: NDArray[np.int32], checksums: Checksums) -> Stored:
        """The values of some rows, each checked against its checksum. Shape (rows, layers * d).

        Args:
            rows: (m,) ascending, each once.
            keys: (m, 16) uint8: keys of these rows, as they were sealed.
            n_tokens: (m,) int32: token counts of these rows, as they were sealed.
            checksums: (m,) uint32: checksums of these rows, as they were sealed.

        Raises:
            DamageError: the values are not those that were sealed, or cannot be read.
        """
        if self._raw is not None:
            with self._shard._reading():
                stored = self._raw.read(rows)
            if stored is not None and (row_checksums(keys, n_tokens, stored) == checksums).all():
                return stored
        if self._reader is None:
            self._reader = self._opened.enter_context(self._shard._open())
        with self._shard._reading():
            stored = self._reader.values(rows)
        if stored.shape != (len(rows), self._shard.width):
            raise DamageError(f"{self._shard.path} gave an array of shape {stored.shape}")
        wrong = np.flatnonzero(row_checksums(keys, n_tokens, stored) != checksums)
        if len(wrong):
            raise DamageError(f"row {rows[wrong[0]]} of {self._shard.path} does not match its checksum")
        return stored


def describe(folder: Path, name: ShardFile, description: StoreDescription) -> ShardEntry:
    """The manifest entry for a shard that no entry names, made from the shard's own metadata and index.

    The rows are not checked yet.

    Raises:
        DamageError: it cannot be read, or belongs to another store.
    """
    shard = _unnamed(folder, name, description)
    with shard._open() as reader, shard._reading():
        about, index = reader.about(), reader.index()
    if about != description.about:
        raise DamageError(f"{shard.path} belongs to the store {about.get('fingerprint')}")
    return ShardEntry(
        name, shard.entry.store, len(index), shard.path.stat().st_size, sha256(shard.path), index.digest()
    )


def belongs(folder: Path, name: ShardFile, description: StoreDescription) -> bool:
    """Whether a file's own metadata say that it is a shard of this store; False for one that cannot be read."""
    try:
        shard = _unnamed(folder, name, description)
        with shard._open() as reader, shard._reading():
            return reader.about() == description.about
    except DamageError:
        return False


def _unnamed(folder: Path, name: ShardFile, description: StoreDescription) -> SealedShard:
    """A file with the name of a shard, of which nothing is known.

    Raises:
        DamageError: it is no file, or no shard of the store's format.
    """
    path = shard_path(folder, name)
    if not path.is_file():
        raise DamageError(f"{path} is no file")
    if path.suffix != FORMATS[description.format].suffix:
        raise DamageError(f"{path} is no {description.format} shard")
    return SealedShard(folder, ShardEntry(name, description.fingerprint.digest, 0, 0, "", ""), description)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, without holding it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
