"""A small pass of the model while the health is bad: without requests nothing else would tell that it is good again.

A load balancer that reads 503 from `/health` sends no more requests, and keeps asking `/health`. So its question
starts the probe. Where requests still come, each failure puts it off, and the first success ends it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from export.server.health import Health
from export.server.refusals import RefusedRequest

log = logging.getLogger(__name__)

SECONDS = 10.0
"""Time from a failure, or from the end of a probe, to the next probe: anybody may ask for `/health`."""

QUESTION, ANSWER = "What is two plus two?", "It is four."
"""A conversation for which every model has a score."""


class Probe:
    """Tries the model, one probe at a time.

    Args:
        health: is asked whether a probe is due, and told if one could not be made.
        attempt: takes the question through the model, which tells the health how the pass ended.
    """

    def __init__(self, health: Health, attempt: Callable[[], Awaitable[None]]) -> None:
        self._health = health
        self._attempt = attempt
        self._ended = 0.0
        self._running: asyncio.Task[None] | None = None

    def if_due(self) -> None:
        """Start a probe behind the answer if the health is bad and nothing has failed or been tried for a while."""
        failed = self._health.last_failure
        if failed is None or (self._running is not None and not self._running.done()):
            return
        if time.monotonic() - max(failed, self._ended) >= SECONDS:
            self._running = asyncio.get_running_loop().create_task(self._try())

    async def close(self) -> None:
        """Give a probe up that is under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _try(self) -> None:
        try:
            await self._attempt()
        except RefusedRequest as refused:  # the queue is full: then requests will tell
            log.info("no probe of the model: %s", refused)
        except Exception as error:
            log.exception("a probe of the model failed")
            self._health.failed(f"{type(error).__name__} in a probe of the model; the server's log says more")
        finally:
            self._ended = time.monotonic()
