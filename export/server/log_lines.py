"""Log lines that anybody can cause by a request: one of a kind now and then, with the number of those left out."""

import logging
import time
from collections import Counter
from collections.abc import Callable

SECONDS = 60.0
"""Time between two lines of a kind."""


class NowAndThen(logging.Filter):
    """Lets one warning of a kind pass in a while; errors pass always.

    Args:
        seconds: time between two of a kind.
        clock: time in seconds.
    """

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; it tells how many of its kind were not."""
        if record.levelno > logging.WARNING:
            return True
        kind, now = str(record.msg), self._clock()
        if now - self._last.get(kind, -self._seconds) < self._seconds:
            self._left_out[kind] += 1
            return False
        self._last[kind] = now
        if left_out := self._left_out.pop(kind, 0):
            record.msg = f"{kind} ({left_out:,} more like it since the last such line)"
        return True
