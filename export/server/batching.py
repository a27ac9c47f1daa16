"""Packed dynamic batching: responses that wait for the model are scored together, across requests."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from cache import UserError
from export.not_scorable import NotFiniteError
from export.server.fair_queue import FairQueue, Job, Waiting
from export.server.health import Health
from export.server.metrics import Metrics
from extract.encoded import Encoded

log = logging.getLogger(__name__)

FIRST_GUESS = 2000.0
"""Assumed tokens per second before the first pass is timed."""

LONGEST_RETRY = 60
"""Largest number of seconds in `Retry-After`."""

Result = TypeVar("Result")


class QueueFullError(Exception):
    """There is no room for a request now.

    Args:
        retry_after: seconds after which there should be room.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full for about {retry_after} s")
        self.retry_after = retry_after


class ModelFailedError(Exception):
    """The pass itself failed, by no fault of the conversation; the log has the traceback."""


class Batcher(Generic[Result]):
    """One queue and one thread that runs the model.

    Args:
        score: runs the model; returns a result for each conversation, and raises if the pass itself failed.
        pack_tokens: largest number of tokens in one pass.
        wait_seconds: how long a pass that is not full waits for more.
        queue_tokens: largest number of tokens that may wait.
        metrics: counters that record every pass.
        health: told how every pass ended.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Encoded]], Sequence[Result | Exception]],
        *,
        pack_tokens: int,
        wait_seconds: float,
        queue_tokens: int,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self.queue_tokens = queue_tokens
        self._score = score
        self._pack_tokens = pack_tokens
        self._wait_seconds = wait_seconds
        self._metrics = metrics
        self._health = health
        self._queue: FairQueue[Result] = FairQueue(pack_tokens)
        self._tokens = 0  # waiting or reserved
        self._tokens_per_second = FIRST_GUESS
        self._came = asyncio.Event()
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start; call this on the event loop that submits."""
        self._runner = asyncio.get_running_loop().create_task(self._run())
        self._runner.add_done_callback(self._ended)

    async def close(self) -> None:
        """Stop; jobs that still wait are never answered."""
        assert self._runner is not None
        self._runner.cancel()
        await asyncio.wait([self._runner])
        await asyncio.to_thread(self._model_thread.shutdown)

    def check_room(self, tokens: int = 1) -> None:
        """Refuse a number of tokens that the queue has no room for.

        Raises:
            QueueFullError: there is no room for so many tokens.
        """
        if self._tokens + tokens > self.queue_tokens:
            seconds = (self._tokens + tokens - self.queue_tokens) / self._tokens_per_second
            raise QueueFullError(min(max(math.ceil(seconds), 1), LONGEST_RETRY))

    def reserve(self, tokens: int) -> None:
        """Keep room for tokens that will be submitted; negative: give it back.

        Raises:
            QueueFullError: there is no room for so many tokens.
        """
        if tokens > 0:
            self.check_room(tokens)
        self._count(tokens)

    def submit(self, jobs: Sequence[Job]) -> list["asyncio.Future[Result | Exception]"]:
        """Queue the jobs of one request; a future for each, in order. Cancelled ones are not computed.

        Raises:
            QueueFullError: there is no room for all of them.
        """
        self.check_room(sum(job.tokens for job in jobs))
        loop = asyncio.get_running_loop()
        request = [Waiting[Result](job, loop.create_future()) for job in jobs]
        for each in request:
            each.answer.add_done_callback(partial(self._free, each))
        self._queue.add(request)
        self._count(sum(job.tokens for job in jobs))
        self._came.set()
        return [each.answer for each in request]

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            batch = self._take()
            while batch and self._has_room(batch) and (left := self._seconds_left(batch)) > 0:
                await asyncio.sleep(left)
                batch += self._take(batch)
            if not self._queue:
                self._came.clear()
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[Waiting[Result]]) -> None:
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        results = await loop.run_in_executor(self._model_thread, self._results, [each.job for each in batch])
        seconds = time.monotonic() - started
        tokens = _tokens(batch)
        # A moving average in which fuller passes count more.
        step = min(tokens / self._pack_tokens, 1.0) * 0.5
        self._tokens_per_second += step * (tokens / max(seconds, 1e-6) - self._tokens_per_second)
        self._metrics.passed(tokens, len(batch), seconds, [started - each.since for each in batch])
        self._tell(results)
        for each, result in zip(batch, results, strict=True):
            if not each.answer.done():
                each.answer.set_result(result)

    def _tell(self, results: Sequence[Result | Exception]) -> None:
        """Say how a pass ended: well if it gave one score, badly if the model alone kept it from giving any."""
        if any(not isinstance(result, Exception) for result in results):
            self._health.succeeded()
            return
        faults = [result for result in results if isinstance(result, ModelFailedError | NotFiniteError)]
        if faults:
            self._health.failed(str(faults[0]))

    def _ended(self, runner: "asyncio.Task[None]") -> None:
        if not runner.cancelled() and (error := runner.exception()) is not None:
            log.error("no response is scored any more", exc_info=error)
            self._health.failed("no response is scored any more; the server's log says why")

    def _results(self, jobs: Sequence[Job]) -> Sequence[Result | Exception]:
        """Score in the model's thread. A failed pass is repeated in halves, so that one job cannot fail the others."""
        try:
            results = self._score([job.encoded for job in jobs])
            assert len(results) == len(jobs)
        except Exception as error:
            if len(jobs) > 1:
                log.warning("a pass over %s conversations failed (%s): trying it in halves", len(jobs), error)
                half = len(jobs) // 2
                return [*self._results(jobs[:half]), *self._results(jobs[half:])]
            if isinstance(error, UserError):  # it does not fit the device's memory even by itself
                return [error]
            log.exception("a pass over one conversation failed")
            return [ModelFailedError("the model failed at this conversation; the server's log says why")]
        return results

    def _take(self, batch: Sequence[Waiting[Result]] = ()) -> list[Waiting[Result]]:
        taken = self._queue.take(batch)
        for each in taken:
            each.taken = True
        self._count(-sum(each.job.tokens for each in taken))
        return taken

    def _has_room(self, batch: Sequence[Waiting[Result]]) -> bool:
        """Whether every waiting job fitted and the pass has room left."""
        return not self._queue and _tokens(batch) < self._pack_tokens

    def _seconds_left(self, batch: Sequence[Waiting[Result]]) -> float:
        return batch[0].since + self._wait_seconds - time.monotonic()

    def _free(self, waiting: Waiting[Result], _answer: "asyncio.Future[Result | Exception]") -> None:
        """Return the room of a job that was cancelled while it waited."""
        if not waiting.taken:
            self._count(-waiting.job.tokens)

    def _count(self, tokens: int) -> None:
        self._tokens += tokens
        self._metrics.queue_tokens.set(self._tokens)


def _tokens(batch: Sequence[Waiting[Result]]) -> int:
    """Number of tokens in a pass; each prompt counts once."""
    prompts = {each.job.prompt: each.job.prompt_tokens for each in batch}
    return sum(prompts.values()) + sum(each.job.response_tokens for each in batch)
