"""Large bodies are parsed in turns, so that all together keep the event loop for no more than a part of the time.

JSON is parsed in one go, in which nothing else happens: some 20 ms a megabyte of small values.
"""

import asyncio
import time

LARGE_BYTES = 2**18
"""Bodies of more bytes take turns; smaller ones are parsed within a few milliseconds."""

PART = 0.25
"""Part of the time that the event loop may spend on large bodies."""


class ParsingTurns:
    """Lets one large body after another be parsed, each after a pause that makes up for the one before."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._next_at = 0.0

    async def wait(self) -> None:
        """Wait for a turn, which ends with `parsed` or `unused`."""
        await self._lock.acquire()
        try:
            await asyncio.sleep(max(self._next_at - time.monotonic(), 0.0))
        except BaseException:
            self._lock.release()
            raise

    def begin(self) -> None:
        """The body is handed over now, and parsed before anything else happens on the event loop."""
        asyncio.get_running_loop().call_soon(self._parsed, time.monotonic())

    def unused(self) -> None:
        """The turn's body was not asked for."""
        self._lock.release()

    def _parsed(self, started: float) -> None:
        now = time.monotonic()
        self._next_at = now + (now - started) * (1 / PART - 1)
        self._lock.release()
