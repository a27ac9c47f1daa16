"""The open shard: packs that are computed and not yet sealed, which is what a kill can lose."""

import time
from collections.abc import Callable

from extract.shard_writer import Part


class OpenShard:
    """Collects packs until their work has taken as long as may be lost.

    The bound is a time and not a number of tokens, so it is the same loss on every device, and follows one that gets
    slower during the run. In tokens it is the device's rate times `seconds`.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no pack.

        Args:
            seconds: the most time whose work may be unsealed. A single pack that takes longer is a shard.
            clock: gives seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self.parts: list[Part] = []
        self._began = self._last = clock()
        self._longest = 0.0

    def add(self, part: Part) -> None:
        """Add a pack that has just been computed."""
        now = self._clock()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        self.parts.append(part)

    def is_full(self) -> bool:
        """Whether one more pack that takes as long as the longest so far would pass the bound.

        Engines may hand over several packs at once, so the longest wait says more than the last.
        """
        return bool(self.parts) and self._last - self._began + self._longest > self._seconds

    def clear(self) -> None:
        """Start again with no pack, because these were given to be sealed."""
        self.parts = []
        self._began = self._last = self._clock()
        self._longest = 0.0
