"""A thread that seals shards while the next packs are computed."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from cache import FeatureStore
from cache.names import ShardName
from cache.precision import unusable_rows
from extract.packing import PackLayout
from extract.plan import free_name

log = logging.getLogger(__name__)

Part = tuple[PackLayout, NDArray[np.float32]]
"""A pack, and its features (features, layers, hidden_size) float32."""


class ShardWriter:
    """Seals one shard at a time in another thread; skips features that cannot be stored.

    An error in that thread, such as a full disk, is raised by the next call or at the end of the block. Use it
    inside `store.writing`.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1)
        self._sealing: Future[int] | None = None
        self.features = 0
        """Number of features sealed so far."""
        self.given: Sequence[Part] = ()
        """The packs that `seal` was called with last."""
        self._names = {entry.shard.stem for entry in store.entries}

    def __enter__(self) -> "ShardWriter":
        self._thread.submit(int).result()  # starts the thread now: interrupted later, it might not be joined
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            _to_the_end(self.wait)
        except OSError as problem:
            if error is None:  # else the first error is the one to be raised
                raise
            log.warning("a shard could not be sealed: %s", problem)
        finally:
            _to_the_end(self._thread.shutdown)

    def seal(self, shard: ShardName, parts: Sequence[Part]) -> None:
        """Seal the features of some packs of a planned shard as a file; returns when the previous one is sealed.

        The file has the planned shard's name, or where that is taken by another part of the shard, the next free one.
        """
        self.wait()
        self.given = parts
        name = free_name(shard, self._names)
        self._names.add(name)
        self._sealing = self._thread.submit(self._seal, name, parts)

    def wait(self) -> None:
        """Return when all shards so far are sealed."""
        if self._sealing is not None:
            wait_for([self._sealing])  # after an interrupt here, a second call waits again
            sealing, self._sealing = self._sealing, None
            self.features += sealing.result()

    def _seal(self, shard: ShardName, parts: Sequence[Part]) -> int:
        keys = np.concatenate([layout.keys for layout, _ in parts])  # (n, 16)
        n_tokens = np.concatenate([layout.n_tokens for layout, _ in parts])  # (n,)
        features = np.concatenate([states for _, states in parts])  # (n, layers, d)
        reasons = unusable_rows(features, self._store.dtype)
        if reasons:
            self._store.skip({keys[row].tobytes(): reason for row, reason in reasons.items()})
            log.warning("%s features of shard %s cannot be stored and are skipped", len(reasons), shard)
        # A pack that is computed again for one missing feature contains others that are stored already.
        keep = [int(row) for row in np.flatnonzero(self._store.missing(keys)) if int(row) not in reasons]
        self._store.seal(shard, keys[keep], n_tokens[keep], features[keep])
        return len(keep)


def _to_the_end(work: Callable[[], None]) -> None:
    """Finish the work however often an interrupt comes: the next writer may start as soon as it returns."""
    while True:
        try:
            return work()
        except KeyboardInterrupt:
            log.warning("a shard is being sealed, which takes a moment")
