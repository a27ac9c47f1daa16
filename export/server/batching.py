"""Packed dynamic batching: responses that wait for the model are scored together, across requests."""

import asyncio
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from cache import UserError
from export.server.metrics import Metrics
from extract.templating import Encoded

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


@dataclass(frozen=True, slots=True)
class Job:
    """One response to be scored.

    `prompt` tells which jobs share a prompt, so that a pack holds them side by side and computes it once.
    """

    prompt: bytes
    prompt_tokens: int
    response_tokens: int
    encoded: Encoded

    @property
    def tokens(self) -> int:
        """Length of the whole conversation."""
        return self.prompt_tokens + self.response_tokens


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Result]):
    job: Job
    answer: "asyncio.Future[Result | Exception]"
    since: float = field(default_factory=time.monotonic)
    taken: bool = False
    """Whether it has left the queue for a pass of the model."""


class Batcher(Generic[Result]):
    """One queue and one thread that runs the model.

    Args:
        score: runs the model; returns a result for each conversation, and raises if the pass itself failed.
        pack_tokens: largest number of tokens in one pass.
        wait_seconds: how long a pass that is not full waits for more.
        queue_tokens: largest number of tokens that may wait.
        metrics: counters that record every pass.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Encoded]], Sequence[Result | Exception]],
        *,
        pack_tokens: int,
        wait_seconds: float,
        queue_tokens: int,
        metrics: Metrics,
    ) -> None:
        self.queue_tokens = queue_tokens
        self.failing = False
        """Whether the last pass failed, by no fault of a conversation."""
        self._score = score
        self._pack_tokens = pack_tokens
        self._wait_seconds = wait_seconds
        self._metrics = metrics
        self._by_prompt: OrderedDict[bytes, deque[_Waiting[Result]]] = OrderedDict()
        self._tokens = 0  # waiting
        self._tokens_per_second = FIRST_GUESS
        self._came = asyncio.Event()
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start; call this on the event loop that submits."""
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; jobs that still wait are never answered."""
        assert self._runner is not None
        self._runner.cancel()
        await asyncio.wait([self._runner])
        await asyncio.to_thread(self._model_thread.shutdown)

    @property
    def alive(self) -> bool:
        """Whether submitted jobs will be scored."""
        return self._runner is not None and not self._runner.done()

    def check_room(self, tokens: int = 1) -> None:
        """Refuse a number of tokens that the queue has no room for.

        Raises:
            QueueFullError: there is no room for so many tokens.
        """
        if self._tokens + tokens > self.queue_tokens:
            seconds = (self._tokens + tokens - self.queue_tokens) / self._tokens_per_second
            raise QueueFullError(min(max(math.ceil(seconds), 1), LONGEST_RETRY))

    def submit(self, jobs: Sequence[Job]) -> list["asyncio.Future[Result | Exception]"]:
        """Queue the jobs of one request; a future for each, in order. Cancelled ones are not computed.

        Raises:
            QueueFullError: there is no room for all of them.
        """
        self.check_room(sum(job.tokens for job in jobs))
        loop = asyncio.get_running_loop()
        futures = []
        for job in jobs:
            waiting = _Waiting(job, loop.create_future())
            waiting.answer.add_done_callback(partial(self._free, waiting))
            self._by_prompt.setdefault(job.prompt, deque()).append(waiting)
            futures.append(waiting.answer)
        self._count(sum(job.tokens for job in jobs))
        self._came.set()
        return futures

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            batch = self._take()
            while batch and self._has_room(batch) and (left := self._seconds_left(batch)) > 0:
                await asyncio.sleep(left)
                batch += self._take(batch)
            if not self._by_prompt:
                self._came.clear()
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[_Waiting[Result]]) -> None:
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        results = await loop.run_in_executor(self._model_thread, self._results, [each.job for each in batch])
        seconds = time.monotonic() - started
        tokens = _tokens(batch)
        # A moving average in which fuller passes count more.
        step = min(tokens / self._pack_tokens, 1.0) * 0.5
        self._tokens_per_second += step * (tokens / max(seconds, 1e-6) - self._tokens_per_second)
        self._metrics.passed(tokens, len(batch), seconds, [started - each.since for each in batch])
        for each, result in zip(batch, results, strict=True):
            if not each.answer.done():
                each.answer.set_result(result)

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
                self.failing = False
                return [error]
            log.exception("a pass over one conversation failed")
            self.failing = True
            return [ModelFailedError("the model failed at this conversation; the server's log says why")]
        self.failing = False
        return results

    def _take(self, batch: Sequence[_Waiting[Result]] = ()) -> list[_Waiting[Result]]:
        """Take jobs that fit into a pass together with `batch`, prompt by prompt.

        A prompt whose responses do not all fit goes to the end of the queue, so that a prompt with a thousand
        responses does not keep all others waiting.
        """
        taken: list[_Waiting[Result]] = []
        prompts = {each.job.prompt for each in batch}
        used = _tokens(batch)
        while self._by_prompt:
            prompt, group = next(iter(self._by_prompt.items()))
            while group:
                job = group[0].job
                more = job.response_tokens + (0 if prompt in prompts else job.prompt_tokens)
                if used and used + more > self._pack_tokens:
                    if prompt in prompts:
                        self._by_prompt.move_to_end(prompt)
                    return taken
                each = group.popleft()
                if not each.answer.cancelled():
                    each.taken = True
                    self._count(-job.tokens)
                    taken.append(each)
                    prompts.add(prompt)
                    used += more
            del self._by_prompt[prompt]
        return taken

    def _has_room(self, batch: Sequence[_Waiting[Result]]) -> bool:
        """Whether every waiting job fitted and the pass has room left."""
        return not self._by_prompt and _tokens(batch) < self._pack_tokens

    def _seconds_left(self, batch: Sequence[_Waiting[Result]]) -> float:
        return batch[0].since + self._wait_seconds - time.monotonic()

    def _free(self, waiting: _Waiting[Result], _answer: "asyncio.Future[Result | Exception]") -> None:
        """Return the room of a job that was cancelled while it waited."""
        if not waiting.taken:
            self._count(-waiting.job.tokens)

    def _count(self, tokens: int) -> None:
        self._tokens += tokens
        self._metrics.queue_tokens.set(self._tokens)


def _tokens(batch: Sequence[_Waiting[Result]]) -> int:
    """Number of tokens in a pass; each prompt counts once."""
    prompts = {each.job.prompt: each.job.prompt_tokens for each in batch}
    return sum(prompts.values()) + sum(each.job.response_tokens for each in batch)
