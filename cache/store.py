"""The feature store: reading vectors by key, and sealing new shards."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import manifest, plan_file, sealing, skipped_keys
from cache.description import FILE, StoreDescription, read_description
from cache.durable import TEMPORARY
from cache.errors import UserError
from cache.fingerprint import Fingerprint
from cache.formats import FormatName
from cache.keys import KeyIndex, Keys, as_keys
from cache.lease import creating, writer_lease
from cache.leftovers import find_leftovers, whole_shards
from cache.manifest import ShardEntry
from cache.names import StoreName
from cache.precision import from_storage
from cache.sealed_shard import FOLDER, OpenShard, SealedShard
from cache.shard import ShardIndex
from cache.shard_check import SeenKeys
from cache.worker import ALONE, Worker

log = logging.getLogger(__name__)

BATCH_BYTES = 4 << 20
"""Default size of a streamed batch of float32 features: two of them, the caller's and the next, stay in a last-level
cache, and at 16 MiB a stream took half as long again."""

BLOCK_BYTES = 512 << 10
"""Stored values that are read, checked and converted at once: few enough to stay in a core's cache meanwhile."""


class FeatureStore:
    """Vectors of one fingerprint, keyed by token digest.

    Files on disk: `store.json` (what the vectors depend on), `manifest.jsonl` (names of the sealed shards),
    `shards/` (the shards), `refused.jsonl` (skipped keys, whose vectors the dtype cannot hold), `plans/` (how an
    extraction is cut into packs). A reader sees the shards that the manifest named when the store was opened or last
    refreshed. Only `create`, `writing`, `seal` and `skip` write. The object holds 32 bytes per row in memory, no
    vectors.
    """

    def __init__(self, folder: Path, description: StoreDescription) -> None:
        self.folder = folder
        self.description = description
        self.fingerprint = description.fingerprint
        self.hidden_size = description.hidden_size
        self.layers = description.layers
        self.dtype = description.dtype
        self.row_bytes = description.row_bytes
        self.entries: list[ShardEntry] = []
        self._shards: list[SealedShard] = []
        self._starts = np.zeros(1, dtype=np.int64)
        self._set_index([])
        self.refresh()

    @classmethod
    def create(
        cls, root: Path, fingerprint: Fingerprint, hidden_size: int, shard_format: FormatName = "parquet"
    ) -> "FeatureStore":
        """Open the store of a fingerprint below `root`; make it first if it is missing.

        Raises:
            UserError: it exists in the other format, or cannot be opened or made.
        """
        folder = root / fingerprint.digest
        if not (folder / FILE).exists():
            with creating(folder):
                if not (folder / manifest.FILE).exists():  # only a store that lost its store.json has one
                    manifest.rewrite(folder / manifest.FILE, [])
                if not (folder / FILE).exists():
                    StoreDescription(fingerprint, hidden_size, shard_format).write(folder)
        found = read_description(folder).format
        if found != shard_format:
            raise UserError(
                f"{folder} holds {found} shards and the recipe asks for {shard_format}:"
                f" set store.format to '{found}', or name another store.root"
            )
        return cls.open(root, fingerprint.digest)

    @classmethod
    def open(cls, root: Path, digest: str) -> "FeatureStore":
        """Open the store with this fingerprint digest below `root`; write nothing.

        Raises:
            UserError: it is missing, of another version, or its fingerprint is not that of its folder's name.
            DamageError: the manifest or a shard it names is not as it was written.
        """
        try:
            name = StoreName(digest)
        except ValueError as error:
            raise UserError(f"there is no such feature store ({error}): run `armorm extract` again") from None
        return cls(root / name, read_description(root / name))

    def refresh(self) -> None:
        """Take up the shards that the manifest names now.

        Raises:
            DamageError: the manifest or a shard it names is not as it was written.
        """
        entries = manifest.read(self.folder / manifest.FILE, self.fingerprint.digest)
        self.skipped = skipped_keys.read(self.folder / skipped_keys.FILE)
        if entries == self.entries:
            return
        shards = [SealedShard(self.folder, entry, self.description) for entry in entries]
        indexes = [shard.index() for shard in shards]
        self.entries, self._shards = entries, shards
        self._set_index(indexes)

    def _set_index(self, indexes: list[ShardIndex]) -> None:
        self._starts = np.cumsum([0, *map(len, indexes)])  # (shards + 1,)
        self._index = KeyIndex(np.concatenate([as_keys([]), *(index.keys for index in indexes)]))
        self._n_tokens = np.concatenate([np.empty(0, np.int32), *(index.n_tokens for index in indexes)])
        self._checksums = np.concatenate([np.empty(0, np.uint32), *(index.checksums for index in indexes)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Mask of the keys that have no feature here and are not skipped. Shape (n,), bool."""
        missing = self._index.find(keys) < 0
        for at in np.flatnonzero(missing) if self.skipped else ():
            missing[at] = keys[at].tobytes() not in self.skipped
        return missing

    def n_tokens(self, keys: Keys) -> NDArray[np.int32]:
        """Length of each key's token sequence. Shape (n,), int32.

        Raises:
            UserError: a key has no feature.
        """
        return self._n_tokens[self._find(keys)]

    def in_shard_order(self, keys: Keys) -> Keys:
        """The distinct keys among these, in the order in which they are stored. Shape (m, 16).

        Raises:
            UserError: a key has no feature.
        """
        _, first = np.unique(self._find(keys), return_index=True)
        return keys[first]

    def stream(
        self, keys: Keys, batch_rows: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield the features of `keys` in shard order; each shard is opened once and each row is read once.

        Yields (positions in `keys`, features (positions, layers, hidden_size) float32) in batches of at
        most `batch_rows` distinct keys, by default 4 MiB; a key given twice comes twice. Every row is
        checked against its checksum before it is yielded.

        Raises:
            UserError: a key has no feature.
            DamageError: a row is not what was sealed.
        """
        batch_rows = batch_rows or max(1, BATCH_BYTES // (4 * self.description.width))
        at = self._find(keys)  # (n,)
        order = np.argsort(at, kind="stable")
        at = at[order]
        cuts = np.searchsorted(at, self._starts)  # (shards + 1,)
        for sealed, start, low, high in zip(self._shards, self._starts, cuts, cuts[1:], strict=False):
            if low == high:
                continue
            positions = order[low:high]
            new = np.diff(at[low:high], prepend=-1) > 0  # (positions,) whether another row begins
            first = np.flatnonzero(new)
            rows = at[low:high][first]
            repeat = np.cumsum(new) - 1  # (positions,) index into `rows`
            edges = np.searchsorted(repeat, np.arange(0, len(rows) + batch_rows, batch_rows))
            with sealed.open() as shard:
                for number, (begin, end) in enumerate(pairwise(edges)):
                    some = slice(number * batch_rows, (number + 1) * batch_rows)
                    features = self._features(shard, int(start), rows[some], keys[positions[first[some]]])
                    inside = repeat[begin:end] - some.start
                    yield positions[begin:end], features if len(inside) == len(features) else features[inside]

    def _features(self, shard: OpenShard, start: int, rows: NDArray[np.int64], keys: Keys) -> NDArray[np.float32]:
        """Rows of a shard whose first row is the store's row `start`. Shape (rows, layers, hidden_size)."""
        features = np.empty((len(rows), self.description.width), dtype=np.float32)
        block = max(1, BLOCK_BYTES // self.row_bytes)
        for low in range(0, len(rows), block):
            some = slice(low, low + block)
            at = rows[some]
            stored = shard.values(at - start, keys[some], self._n_tokens[at], self._checksums[at])
            from_storage(stored, self.dtype, features[some])
        return features.reshape(-1, self.layers, self.hidden_size)

    def gather(self, keys: Keys) -> NDArray[np.float32]:
        """The features of `keys`, in the order of `keys`. Shape (n, layers, hidden_size), float32.

        Raises:
            As `stream`.
        """
        features = np.empty((len(keys), self.layers, self.hidden_size), dtype=np.float32)
        for positions, part in self.stream(keys):
            features[positions] = part
        return features

    @contextmanager
    def writing(self, worker: Worker = ALONE) -> Iterator[None]:
        """Hold the exclusive right to seal shards in this store, alone or as one of several workers.

        Workers that agree on their number may write at once; their shards must not have a key in common. A single
        writer first names the whole shards that the manifest does not name.

        Raises:
            UserError: another process holds it, or the folder cannot be written or holds a link.
            DamageError: the manifest or a shard it names is not as it was written.
        """
        with writer_lease(self.folder, worker):
            if worker == ALONE:
                for pattern in (
                    f"{FOLDER}/*{TEMPORARY}",
                    f"{plan_file.FOLDER}/*.lock",
                    f"{plan_file.FOLDER}/*.attempts",
                ):
                    for left in self.folder.glob(pattern):
                        left.unlink()  # its writer has died: nobody else may write here now
            self.refresh()
            manifest.count(self.folder / manifest.FILE)
            if worker == ALONE:
                self._adopt()
            yield

    def _adopt(self) -> None:
        """Name whole shards that no line names, left by a writer that died or by a manifest that lost lines."""
        unnamed = find_leftovers(self.folder, self.entries).shards
        rows = 0
        for entry in whole_shards(self.folder, self.description, unnamed, SeenKeys(self._index)):
            manifest.append(self.folder / manifest.FILE, entry)
            rows += entry.rows
        if rows:
            log.info("%s features in shards that the manifest did not name are used again", f"{rows:,}")
            self.refresh()

    def seal(self, shard: str, keys: Keys, n_tokens: NDArray[np.int32], features: NDArray[np.float32]) -> ShardEntry:
        """Write one shard and name it in the manifest; both durable when this returns.

        Call it inside `writing`. The store sees the shard after the next `refresh`.

        Args:
            shard: name of the shard without its suffix.
            keys: (n, 16) uint8, each once, none of them in the store.
            n_tokens: (n,) int32, length of each key's token sequence.
            features: (n, layers, hidden_size) float32, all within the store's dtype.

        Raises:
            ValueError: a key is in the store or comes twice, or a value does not fit the dtype.
            OSError: the disk is full, or does not give back what was written.
        """
        if (self._index.find(keys) >= 0).any():
            raise ValueError(f"shard {shard} was given a key that is in the store")
        return sealing.seal(self.folder, self.description, shard, keys, n_tokens, features)

    def skip(self, reasons: dict[bytes, str]) -> None:
        """Remember keys whose features cannot be stored, and why, so that no run computes them again."""
        skipped_keys.append(self.folder / skipped_keys.FILE, reasons)
        self.skipped |= reasons

    def _find(self, keys: Keys) -> NDArray[np.int64]:
        at = self._index.find(keys)
        if (at < 0).any():
            raise UserError(
                f"{int((at < 0).sum())} of {len(at)} features are not in {self.folder}: run `armorm extract` first"
            )
        return at
