"""The feature store: reading vectors by key, and sealing new shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache import manifest, refusals, sealing
from cache.description import FILE, StoreDescription, read_description
from cache.durable import TEMPORARY, replacing
from cache.errors import UserError
from cache.fingerprint import Fingerprint
from cache.formats import FormatName
from cache.keys import KeyIndex, Keys, as_keys
from cache.lease import creating, writer_lease
from cache.manifest import ShardEntry
from cache.precision import from_storage
from cache.sealed_shard import FOLDER, SealedShard
from cache.shard import ShardIndex
from cache.share import WHOLE, Share

BATCH_BYTES = 16 << 20
"""Of a streamed batch of float32 features, by default."""


class FeatureStore:
    """Vectors of one fingerprint, keyed by token digest.

    On disk: `store.json` (what the vectors are), `manifest.jsonl` (the sealed shards), `shards/` (them),
    `refused.jsonl` (keys whose vectors the dtype cannot hold), `plans/` (how an extraction is cut into
    packs). A reader sees the shards that the manifest named when the store was opened or last refreshed.
    Nothing but `create`, `writing`, `seal` and `refuse` writes. In memory lie 32 bytes a row, no vectors.
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
        self._starts = np.zeros(1, dtype=np.int64)
        self._set_index([])
        self.refresh()

    @classmethod
    def create(
        cls, root: Path, fingerprint: Fingerprint, hidden_size: int, shard_format: FormatName = "parquet"
    ) -> "FeatureStore":
        """Open the store of a fingerprint below `root`, made first if it is not there yet.

        Raises:
            UserError: it is there in the other format, or cannot be opened or made.
        """
        folder = root / fingerprint.digest
        if not (folder / FILE).exists():
            with creating(folder):
                if not (folder / manifest.FILE).exists():  # only a store that lost its store.json has one
                    with replacing(folder / manifest.FILE):
                        pass
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
        """Open the store with this fingerprint digest below `root`; writes nothing.

        Raises:
            UserError: there is none, it is of another version, or its fingerprint is not its name's.
            DamageError: the manifest or a shard it names is not as it was written.
        """
        return cls(root / digest, read_description(root / digest))

    def refresh(self) -> None:
        """See the shards that the manifest names now.

        Raises:
            DamageError: the manifest or a shard it names is not as it was written.
        """
        entries = manifest.read(self.folder / manifest.FILE, self.fingerprint.digest)
        self.refused = refusals.read(self.folder / refusals.FILE)
        if entries == self.entries:
            return
        indexes = [SealedShard(self.folder, entry, self.description).index() for entry in entries]
        self.entries = entries
        self._set_index(indexes)

    def _set_index(self, indexes: list[ShardIndex]) -> None:
        self._starts = np.cumsum([0, *map(len, indexes)])  # (shards + 1,)
        self._index = KeyIndex(np.concatenate([as_keys([]), *(index.keys for index in indexes)]))
        self._n_tokens = np.concatenate([np.empty(0, np.int32), *(index.n_tokens for index in indexes)])
        self._checksums = np.concatenate([np.empty(0, np.uint32), *(index.checksums for index in indexes)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of the keys have no feature here and were not refused one. Shape (n,), bool."""
        missing = self._index.find(keys) < 0
        for at in np.flatnonzero(missing) if self.refused else ():
            missing[at] = keys[at].tobytes() not in self.refused
        return missing

    def n_tokens(self, keys: Keys) -> NDArray[np.int32]:
        """Length of the token sequence behind each key. Shape (n,), int32.

        Raises:
            UserError: a key has no feature.
        """
        return self._n_tokens[self._find(keys)]

    def in_shard_order(self, keys: Keys) -> Keys:
        """The distinct keys among these in the order in which they are stored. Shape (m, 16).

        Raises:
            UserError: a key has no feature.
        """
        _, first = np.unique(self._find(keys), return_index=True)
        return keys[first]

    def stream(
        self, keys: Keys, batch_rows: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The features of `keys` in shard order, each shard opened once and each row read once.

        Yields (positions in `keys`, features (positions, layers, hidden_size) float32) in batches of at
        most `batch_rows` distinct keys, by default 16 MiB; a key given twice comes twice. Every row is
        checked against its checksum before it is given out.

        Raises:
            UserError: a key has no feature.
            DamageError: a row is not what was sealed.
        """
        batch_rows = batch_rows or max(1, BATCH_BYTES // (4 * self.description.width))
        at = self._find(keys)  # (n,)
        order = np.argsort(at, kind="stable")
        cuts = np.searchsorted(at[order], self._starts)  # (shards + 1,)
        for entry, start, low, high in zip(self.entries, self._starts, cuts, cuts[1:], strict=False):
            if low == high:
                continue
            positions = order[low:high]
            rows, first, repeat = np.unique(at[positions], return_index=True, return_inverse=True)
            edges = np.searchsorted(repeat, np.arange(0, len(rows) + batch_rows, batch_rows))
            with SealedShard(self.folder, entry, self.description).open() as shard:
                for number, (begin, end) in enumerate(pairwise(edges)):
                    some = slice(number * batch_rows, (number + 1) * batch_rows)
                    stored = shard.values(
                        rows[some] - start,
                        keys[positions[first[some]]],
                        self._n_tokens[rows[some]],
                        self._checksums[rows[some]],
                    )
                    features = from_storage(stored, self.dtype).reshape(-1, self.layers, self.hidden_size)
                    inside = repeat[begin:end] - some.start
                    yield positions[begin:end], features if len(inside) == len(features) else features[inside]

    def gather(self, keys: Keys) -> NDArray[np.float32]:
        """The features of `keys` in their order. Shape (n, layers, hidden_size), float32."""
        features = np.empty((len(keys), self.layers, self.hidden_size), dtype=np.float32)
        for positions, part in self.stream(keys):
            features[positions] = part
        return features

    @contextmanager
    def writing(self, share: Share = WHOLE) -> Iterator[None]:
        """Hold the only right to seal shards in this store, or a share of them.

        Writers of shares of the same number may write at once; what they seal must not have a key in common.

        Raises:
            UserError: another process holds it, or the folder cannot be written.
        """
        with writer_lease(self.folder, share):
            if share == WHOLE:
                for pattern in (f"{FOLDER}/*{TEMPORARY}", "plans/*.lock", "plans/*.attempts"):
                    for left in self.folder.glob(pattern):
                        left.unlink()  # of a writer or worker that died; nobody has it in hand any more
            self.refresh()
            yield

    def seal(self, shard: str, keys: Keys, n_tokens: NDArray[np.int32], features: NDArray[np.float32]) -> ShardEntry:
        """Write one shard and name it in the manifest; both durable when this returns.

        To be called inside `writing`. The store sees the shard after the next `refresh`.

        Args:
            shard: name of the shard without its suffix.
            keys: (n, 16) uint8, each once, none of them in the store.
            n_tokens: (n,) int32, length of the token sequence behind each key.
            features: (n, layers, hidden_size) float32, all within the store's dtype.

        Raises:
            ValueError: a key is in the store or comes twice, or a value does not fit the dtype.
            OSError: the disk is full, or does not give back what was written.
        """
        if (self._index.find(keys) >= 0).any():
            raise ValueError(f"shard {shard} was given a key that is in the store")
        return sealing.seal(self.folder, self.description, shard, keys, n_tokens, features)

    def refuse(self, reasons: dict[bytes, str]) -> None:
        """Remember keys whose features cannot be stored, and why, so that no run computes them again."""
        refusals.append(self.folder / refusals.FILE, reasons)
        self.refused |= reasons

    def _find(self, keys: Keys) -> NDArray[np.int64]:
        at = self._index.find(keys)
        if (at < 0).any():
            raise UserError(
                f"{int((at < 0).sum())} of {len(at)} features are not in {self.folder}: run `armorm extract` first"
            )
        return at
