"""Everything about a shard that can be checked: its file, its index, its rows, and that its keys are new."""

import numpy as np

from cache.description import StoreDescription
from cache.errors import DamageError
from cache.keys import KeyIndex, Keys
from cache.manifest import ShardEntry
from cache.precision import from_storage
from cache.sealed_shard import SealedShard, sha256

BLOCK_BYTES = 32 << 20
"""Size of the vectors that are checked at once."""


def check(shard: SealedShard, description: StoreDescription) -> Keys:
    """Check everything about one shard and return its keys. Shape (rows, 16).

    Raises:
        DamageError: something about it is not as it was sealed.
    """
    shard.check_size()
    if sha256(shard.path) != shard.entry.sha256:
        raise DamageError(f"{shard.path} does not match its SHA-256")
    index = shard.index()
    block = max(1, BLOCK_BYTES // description.row_bytes)
    with shard.open(decode=True) as opened:
        for start in range(0, len(index), block):
            rows = np.arange(start, min(start + block, len(index)))
            stored = opened.values(rows, index.keys[rows], index.n_tokens[rows], index.checksums[rows])
            finite = np.isfinite(from_storage(stored, description.dtype)).all(axis=-1)  # (rows,)
            if not finite.all():
                raise DamageError(f"row {rows[~finite][0]} of {shard.path} is not finite")
    return index.keys


class SeenKeys:
    """The keys of all shards so far, in a few large indexes instead of one per shard."""

    def __init__(self, known: KeyIndex | None = None) -> None:
        """Begin with the keys of an index, or with none."""
        self._known = known
        self._indexes: list[tuple[Keys, KeyIndex]] = []

    def add(self, keys: Keys, entry: ShardEntry) -> None:
        """Add a shard's keys.

        Raises:
            DamageError: one of them was added before.
        """
        indexes = [index for _, index in self._indexes] + ([self._known] if self._known is not None else [])
        if len(np.unique(keys, axis=0)) < len(keys) or any((index.find(keys) >= 0).any() for index in indexes):
            raise DamageError(f"{entry.shard} holds a key that the store has already")
        merged = keys
        while self._indexes and len(self._indexes[-1][0]) <= len(merged):
            merged = np.concatenate([self._indexes.pop()[0], merged])
        self._indexes.append((merged, KeyIndex(merged)))
