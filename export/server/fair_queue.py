"""The responses that wait for the model: requests take turns, and responses to the same prompt go together."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
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
    request: int = 0
    """Number of its request."""
    taken: bool = False
    """Whether it has left the queue for a pass of the model."""


SMALLEST_SHARE = 8
"""A request's share of a pass is an eighth at least, however many others there are: small passes waste a GPU."""


class FairQueue(Generic[Result]):
    """Requests in the order of their turns.

    Each request has one turn in a pass, in which it takes its share: a pass divided by the number of requests that
    wait, or that were in the pass before, whose clients may ask again at once. The share is not topped up where others
    are about, since they would wait for it. Where a request's next job does not fit, those behind it may still fill the
    pass; it is the first in the next one. Responses of other requests to a prompt go with its first, out of their own
    shares.

    Args:
        pack_tokens: largest number of tokens in one pass.
    """

    def __init__(self, pack_tokens: int) -> None:
        self._pack_tokens = pack_tokens
        self._requests: OrderedDict[int, OrderedDict[bytes, deque[Waiting[Result]]]] = OrderedDict()
        self._asking: dict[bytes, dict[int, None]] = {}  # requests that wait for a prompt, in order
        self._last = 0
        self._in_pass: set[int] = set()
        self._in_pass_before = 0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def add(self, request: Sequence[Waiting[Result]]) -> None:
        """Queue the jobs of one request behind the other requests."""
        if not request:
            return
        self._last += 1
        prompts = self._requests[self._last] = OrderedDict()
        for each in request:
            each.request = self._last
            prompts.setdefault(each.job.prompt, deque()).append(each)
        for prompt in prompts:
            self._asking.setdefault(prompt, {})[self._last] = None

    def take(self, batch: Sequence[Waiting[Result]] = ()) -> list[Waiting[Result]]:
        """Take jobs for a pass; `batch`: those that are in it already. Cancelled ones are dropped."""
        if not batch:
            self._in_pass_before, self._in_pass = len(self._in_pass), set()
        about = max(len(self._requests), self._in_pass_before, 1)
        pack = _Pack(batch, self._pack_tokens, max(self._pack_tokens // about, self._pack_tokens // SMALLEST_SHARE))
        taken: list[Waiting[Result]] = []
        for number in list(self._requests):
            if pack.is_full:
                break
            self._take_turn(number, pack, taken)
        self._in_pass |= {each.request for each in taken}
        return taken

    def _take_turn(self, number: int, pack: "_Pack", taken: list[Waiting[Result]]) -> None:
        """Take a request's share, and what goes with it, as far as there is room."""
        full = False
        while not full and number in self._requests and pack.has_share(number):
            prompt = next(iter(self._requests[number]))
            for each in [number, *(other for other in self._asking[prompt] if other != number)]:
                taken += self._take_group(each, prompt, pack)
            full = prompt in self._requests.get(number, ()) and pack.has_share(number)  # its next job does not fit
        if number in self._requests and pack.has_any(number):
            self._requests.move_to_end(number)

    def _take_group(self, number: int, prompt: bytes, pack: "_Pack") -> list[Waiting[Result]]:
        group = self._requests[number][prompt]
        taken = []
        while group and (group[0].answer.cancelled() or (pack.has_share(number) and pack.fits(group[0].job))):
            each = group.popleft()
            if not each.answer.cancelled():
                pack.add(each)
                taken.append(each)
        if not group:
            del self._requests[number][prompt]
            del self._asking[prompt][number]
            if not self._asking[prompt]:
                del self._asking[prompt]
            if not self._requests[number]:
                del self._requests[number]
        return taken


class _Pack:
    """A pass that is being put together; each prompt counts once, for the request that came with it first.

    Args:
        batch: in it already.
        most: largest number of tokens.
        share: number of tokens at which a request's turn ends.
    """

    def __init__(self, batch: Sequence[Waiting[Result]], most: int, share: int) -> None:
        self._most = most
        self._share = share
        self._prompts: set[bytes] = set()
        self._tokens = 0
        self._by_request: Counter[int] = Counter()
        for each in batch:
            self.add(each)

    @property
    def is_full(self) -> bool:
        """Whether no further job can fit."""
        return self._tokens >= self._most

    def has_share(self, request: int) -> bool:
        """Whether a request has taken less than its share."""
        return self._by_request.get(request, 0) < max(self._share, 1)

    def has_any(self, request: int) -> bool:
        """Whether a request has a job in it."""
        return request in self._by_request

    def fits(self, job: Job) -> bool:
        """Whether there is room; a job alone has room always."""
        return self._tokens == 0 or self._tokens + self._more(job) <= self._most

    def add(self, each: Waiting[Result]) -> None:
        more = self._more(each.job)
        self._tokens += more
        self._by_request[each.request] += more
        self._prompts.add(each.job.prompt)

    def _more(self, job: Job) -> int:
        return job.response_tokens + (0 if job.prompt in self._prompts else job.prompt_tokens)
