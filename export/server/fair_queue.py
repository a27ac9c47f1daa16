"""The responses that wait for the model: requests take turns, and responses to the same prompt go together."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from extract.encoded import Encoded

Result = TypeVar("Result")


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
class Waiting(Generic[Result]):
    """A job that waits, and its answer to be."""

    job: Job
    answer: "asyncio.Future[Result | Exception]"
    since: float = field(default_factory=time.monotonic)
    taken: bool = False
    """Whether it has left the queue for a pass of the model."""


Group = deque[Waiting[Result]]
"""Responses of one request to one prompt."""


class FairQueue(Generic[Result]):
    """Requests in the order of their turns.

    A turn is one prompt of a request, with as many of its responses as the request's share of a pass holds. Responses
    of other requests to the same prompt go with them, since they cost less there than anywhere else.

    Args:
        pack_tokens: largest number of tokens in one pass.
    """

    def __init__(self, pack_tokens: int) -> None:
        self._pack_tokens = pack_tokens
        self._requests: OrderedDict[int, OrderedDict[bytes, Group[Result]]] = OrderedDict()
        self._asking: dict[bytes, dict[int, None]] = {}  # requests that wait for a prompt, in order
        self._last = 0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def add(self, request: Sequence[Waiting[Result]]) -> None:
        """Queue the jobs of one request behind the other requests."""
        if not request:
            return
        self._last += 1
        prompts = self._requests[self._last] = OrderedDict()
        for each in request:
            prompts.setdefault(each.job.prompt, deque()).append(each)
        for prompt in prompts:
            self._asking.setdefault(prompt, {})[self._last] = None

    def take(self, batch: Sequence[Waiting[Result]] = ()) -> list[Waiting[Result]]:
        """Take jobs that fit into a pass together with `batch`, whose cancelled ones are dropped."""
        pack = _Pack(batch, self._pack_tokens)
        taken: list[Waiting[Result]] = []
        share = self._pack_tokens // max(len(self._requests), 1)
        while self._requests:
            number, prompts = next(iter(self._requests.items()))
            prompt = next(iter(prompts))
            before = len(taken)
            taken += self._turn(number, prompt, pack, share)
            if prompt in prompts and len(taken) == before:  # the next job does not fit: its turn is in the next pass
                break
            for other in list(self._asking.get(prompt, ())):
                if other != number:
                    taken += self._turn(other, prompt, pack, share)
            if number in self._requests:
                self._requests.move_to_end(number)
        return taken

    def _turn(self, number: int, prompt: bytes, pack: "_Pack", share: int) -> list[Waiting[Result]]:
        group = self._requests[number][prompt]
        taken = list(_fitting(group, pack, pack.tokens + share))
        if not group:
            del self._requests[number][prompt]
            del self._asking[prompt][number]
            if not self._asking[prompt]:
                del self._asking[prompt]
            if not self._requests[number]:
                del self._requests[number]
        return taken


class _Pack:
    """The size of a pass that is being put together; each prompt counts once."""

    def __init__(self, batch: Sequence[Waiting[Result]], most: int) -> None:
        self._prompts: set[bytes] = set()
        self._most = most
        self.tokens = 0
        for each in batch:
            self.add(each.job)

    def fits(self, job: Job) -> bool:
        """Whether there is room; one job has room always."""
        return self.tokens == 0 or self.tokens + self._more(job) <= self._most

    def add(self, job: Job) -> None:
        self.tokens += self._more(job)
        self._prompts.add(job.prompt)

    def _more(self, job: Job) -> int:
        return job.response_tokens + (0 if job.prompt in self._prompts else job.prompt_tokens)


def _fitting(group: Group[Result], pack: _Pack, until: int) -> Iterator[Waiting[Result]]:
    """Take jobs of a group out while the pack has room and fewer than `until` tokens, but one at least."""
    first = True
    while group and (first or pack.tokens < until):
        each = group[0]
        if each.answer.cancelled():
            group.popleft()
            continue
        if not pack.fits(each.job):
            return
        group.popleft()
        pack.add(each.job)
        first = False
        yield each
