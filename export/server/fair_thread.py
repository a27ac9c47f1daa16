"""A thread whose callers take turns, so that a large piece of work delays small ones by no more than its share."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class _Caller:
    steps: Iterator[int]
    after_a_turn: Callable[[], None]
    done: "asyncio.Future[None]"


class FairThread:
    """Runs work that comes in steps. Each caller has a turn of a few steps; then the next one has.

    Args:
        name: of the thread.
        turn: cost of the steps in a turn, in the unit of the steps; a turn ends with the step that reaches it.
        part: part of the time that the thread may compute; it rests after a turn for as long as that takes.
    """

    def __init__(self, name: str, turn: int, part: float = 1.0) -> None:
        self._turn = turn
        self._rest = 1 / part - 1  # for each second of a turn
        self._next_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._callers: deque[_Caller] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def run(self, steps: Iterator[int], after_a_turn: Callable[[], None]) -> None:
        """Run all steps, each of which yields its cost. A cancelled caller's work ends with the step in progress.

        Args:
            steps: runs in the thread.
            after_a_turn: runs on the event loop after each of the caller's turns; what it raises ends the work.
        """
        loop = asyncio.get_running_loop()
        caller = _Caller(steps, after_a_turn, loop.create_future())
        self._callers.append(caller)
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._take_turns())
        await caller.done

    async def close(self) -> None:
        """Wait until the thread has ended; work that is not done is dropped."""
        if self._runner is not None:
            self._runner.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    async def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        while self._callers:
            await asyncio.sleep(max(self._next_at - time.monotonic(), 0.0))
            caller = self._callers.popleft()
            if caller.done.done():  # cancelled while it waited
                continue
            started = time.monotonic()
            try:
                ended = await loop.run_in_executor(self._thread, self._one_turn, caller)
                if not caller.done.done():
                    caller.after_a_turn()
            except Exception as error:
                if not caller.done.done():
                    caller.done.set_exception(error)
                continue
            finally:
                self._next_at = time.monotonic() + (time.monotonic() - started) * self._rest
            if not ended:
                self._callers.append(caller)
            elif not caller.done.done():
                caller.done.set_result(None)

    def _one_turn(self, caller: _Caller) -> bool:
        """Whether the caller's steps are all done."""
        cost = 0
        while not caller.done.done() and cost < self._turn:
            step = next(caller.steps, None)
            if step is None:
                return True
            cost += step
        return False
