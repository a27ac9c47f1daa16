"""Features of prompts as the gate, the router and their training read them: held in memory, or in the store."""

import logging
from collections.abc import Generator, Iterator
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from cache import FeatureStore
from cache.keys import Keys
from cache.prefetch import prefetched

log = logging.getLogger(__name__)

Item = TypeVar("Item")

BLOCK_ROWS = 1024
"""Prompts computed at once, which bounds the memory taken beyond the features themselves."""

HELD_BYTES = 1 << 30
"""Largest size of features that are held. More are read whenever they are used: a step of training takes as long as
it takes to read its batch some four times, and the reading goes on beside it."""


class StoredPrompts:
    """Features of p prompts that stay in the store; whoever asks for rows has them read and checked.

    The values are those of a held table, so that what is learned from them is the same to the bit.

    Args:
        store: holds the features.
        keys: (p, 16) uint8, each once.
    """

    def __init__(self, store: FeatureStore, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self.shape = torch.Size((len(keys), store.layers * store.hidden_size))

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Some rows (m,) int64, in their order. Shape (m, d), float32."""
        return torch.from_numpy(self._store.gather(self._keys[rows.numpy()])).flatten(1)

    def at(self, rows: Tensor) -> "StoredPrompts":
        """Some of the prompts, rows (m,) int64, unread."""
        return StoredPrompts(self._store, self._keys[rows.numpy()])


Prompts: TypeAlias = Tensor | StoredPrompts
"""(p, d) features, of any floating dtype if they are held."""


def prompts_of(store: FeatureStore, keys: Keys) -> Prompts:
    """The features of prompts, keys (p, 16): held in the store's dtype or, where they are large, left in the store."""
    size = len(keys) * store.row_bytes
    if size > HELD_BYTES:
        log.info("the features of %s prompts (%.1f GB) are read as they are needed", f"{len(keys):,}", size / 1e9)
        return StoredPrompts(store, keys)
    held = torch.empty(len(keys), store.layers * store.hidden_size, dtype=getattr(torch, store.dtype))
    for positions, features in store.stream(keys):
        held[torch.from_numpy(positions)] = torch.from_numpy(features).flatten(1).to(held.dtype)
    return held


def some_of(prompts: Prompts, rows: Tensor) -> Prompts:
    """Some of the prompts: rows (m,) int64."""
    return prompts.at(rows) if isinstance(prompts, StoredPrompts) else prompts[rows]


def blocks(prompts: Prompts, rows: Tensor | None = None) -> Iterator[Tensor]:
    """Features of all prompts or of some, rows (m,) int64, in their order, at most `BLOCK_ROWS` (b, d) at once."""
    if rows is None and isinstance(prompts, Tensor):
        return iter(torch.split(prompts, BLOCK_ROWS))
    every = torch.split(torch.arange(len(prompts)) if rows is None else rows, BLOCK_ROWS)
    return read_ahead(prompts, (prompts[some] for some in every))


def read_ahead(prompts: Prompts, items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Items that hold features of prompts, made by another thread meanwhile if those are read from the store."""
    return prefetched(items, ahead=1) if isinstance(prompts, StoredPrompts) else items
