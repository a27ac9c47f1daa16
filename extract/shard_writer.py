"""Sealing shards while the next packs are computed."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.precision import unusable_rows
from extract.packing import PackLayout

log = logging.getLogger(__name__)

Part = tuple[PackLayout, NDArray[np.float32]]
"""A pack and its features (features, layers, hidden_size)."""


class ShardWriter:
    """Seals one shard at a time in another thread; keeps out what cannot be stored.

    What goes wrong there (a full disk) is raised by the next call, or at the end of the block. To be used
    inside `store.writing`.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1)
        self._sealing: Future[int] | None = None
        self.features = 0
        """Features sealed so far."""
        self.given: set[str] = set()
        """Names of the shards given so far."""

    def __enter__(self) -> "ShardWriter":
        self._thread.submit(int).result()  # starts it now: of one that an interrupt meets starting, nobody knows
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            _to_the_end(self.wait)
        except OSError as problem:
            if error is None:  # else what went wrong first is what is told
                raise
            log.warning("a shard could not be sealed: %s", problem)
        finally:
            _to_the_end(self._thread.shutdown)

    def seal(self, shard: str, parts: Sequence[Part]) -> None:
        """Seal the features of some packs as one shard; returns when the shard before it is sealed."""
        self.wait()
        self.given.add(shard)
        self._sealing = self._thread.submit(self._seal, shard, parts)

    def wait(self) -> None:
        """Return when all that was given is sealed."""
        if self._sealing is not None:
            wait_for([self._sealing])  # an interrupt here leaves it to be waited for once more
            sealing, self._sealing = self._sealing, None
            self.features += sealing.result()

    def _seal(self, shard: str, parts: Sequence[Part]) -> int:
        keys = np.concatenate([layout.keys for layout, _ in parts])  # (n, 16)
        n_tokens = np.concatenate([layout.n_tokens for layout, _ in parts])  # (n,)
        features = np.concatenate([states for _, states in parts])  # (n, layers, d)
        reasons = unusable_rows(features, self._store.dtype)
        if reasons:
            self._store.refuse({keys[row].tobytes(): reason for row, reason in reasons.items()})
            log.warning("%s features of shard %s cannot be stored and are quarantined", len(reasons), shard)
        # A pack that is computed again, because one feature of it is gone, brings others that are there.
        keep = [int(row) for row in np.flatnonzero(self._store.missing(keys)) if int(row) not in reasons]
        self._store.seal(shard, keys[keep], n_tokens[keep], features[keep])
        return len(keep)


def _to_the_end(work: Callable[[], None]) -> None:
    """Do it however often an interrupt comes: with its end the store is open to the next writer."""
    while True:
        try:
            return work()
        except KeyboardInterrupt:
            log.warning("a shard is being sealed, which takes a moment")
