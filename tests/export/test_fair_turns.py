"""Requests take turns at the encoding thread and in the passes of the model, and leave both at once."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.server.fair_queue import FairQueue, Job, Waiting
from export.server.fair_thread import FairThread
from export.server.parsing_turns import ParsingTurns
from extract.encoded import Encoded


def in_turns(use: Callable[[FairThread], Awaitable[Any]], turn: int = 2) -> Any:
    async def main() -> Any:
        thread = FairThread("test", turn)
        try:
            return await asyncio.wait_for(use(thread), 20)
        finally:
            await thread.close()

    return asyncio.run(main())


def nothing() -> None:
    """After a turn."""


def steps(name: str, number: int, done: list[str], cost: int = 1) -> Iterator[int]:
    for _ in range(number):
        done.append(name)
        yield cost


def test_a_small_request_is_done_while_a_large_one_still_waits_for_its_turns() -> None:
    done: list[str] = []

    async def use(thread: FairThread) -> None:
        work = [("large", 1000), ("small", 1), ("other", 3)]
        await asyncio.gather(*(thread.run(steps(name, number, done), nothing) for name, number in work))

    in_turns(use)
    assert done[:8] == ["large", "large", "small", "other", "other", "large", "large", "other"]
    assert len(done) == 1004


@given(
    sizes=st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=6),
    turn=st.integers(1, 12),
)
def test_nobody_waits_longer_than_a_turn_of_each_other(sizes: list[list[int]], turn: int) -> None:
    order: list[int] = []

    def working(number: int) -> Iterator[int]:
        for cost in sizes[number]:
            order.append(number)
            yield cost

    async def use(thread: FairThread) -> None:
        await asyncio.gather(*(thread.run(working(number), nothing) for number in range(len(sizes))))

    in_turns(use, turn)
    assert sorted(order) == [number for number, costs in enumerate(sizes) for _ in costs]
    for number, costs in enumerate(sizes):
        places = [place for place, other in enumerate(order) if other == number]
        others = [order[a + 1 : b] for a, b in pairwise(places)]
        for between in others:  # at most one turn of each: no two runs of the same one
            runs = [one for place, one in enumerate(between) if place == 0 or between[place - 1] != one]
            assert len(runs) == len(set(runs))
        assert len(places) == len(costs)


def test_a_cancelled_request_does_no_further_step() -> None:
    done: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        while True:
            done.append("large")
            begun.set()
            go_on.wait(10)
            yield 0  # which never ends its turn by itself

    async def use(thread: FairThread) -> None:
        large = asyncio.create_task(thread.run(slow(), nothing))
        waiting = asyncio.create_task(thread.run(steps("waiting", 5, done), nothing))
        await asyncio.to_thread(begun.wait, 10)
        large.cancel()
        waiting.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await thread.run(steps("next", 1, done), nothing)

    in_turns(use)
    assert done == ["large", "next"]


def test_what_a_turn_raises_ends_its_own_work_alone() -> None:
    done: list[str] = []

    def refuse() -> None:
        raise LookupError("no room")

    def broken() -> Iterator[int]:
        yield 1
        raise ArithmeticError

    async def use(thread: FairThread) -> list[Any]:
        return await asyncio.gather(
            thread.run(steps("refused", 9, done), refuse),
            thread.run(broken(), nothing),
            thread.run(steps("good", 5, done), nothing),
            return_exceptions=True,
        )

    first, second, third = in_turns(use)
    assert isinstance(first, LookupError)
    assert isinstance(second, ArithmeticError)
    assert third is None
    assert done == ["refused", "refused", *["good"] * 5]


def waiting(prompt: int, tokens: int = 2) -> Waiting[Any]:
    encoded = Encoded(np.full(4, prompt, np.uint32), (np.full(tokens, 1, np.uint32),))
    return Waiting(Job(bytes([prompt]), 4, tokens, encoded), asyncio.get_running_loop().create_future())


async def passes(pack_tokens: int, *requests: list[tuple[int, int]]) -> list[list[int]]:
    """The numbers of the requests whose jobs are in each pass; a request is a list of (prompt, response tokens)."""
    queue: FairQueue[Any] = FairQueue(pack_tokens)
    owner: dict[int, int] = {}
    for number, request in enumerate(requests):
        jobs = [waiting(prompt, tokens) for prompt, tokens in request]
        owner |= {id(each): number for each in jobs}
        queue.add(jobs)
    made, kept = [], []
    while queue:
        kept.append(queue.take())  # kept alive: `owner` knows them by identity
        made.append([owner[id(each)] for each in kept[-1]])
    return made


def test_a_request_with_a_thousand_prompts_leaves_room_for_small_ones_in_the_first_pass() -> None:
    large = [(number % 250, 2) for number in range(1000)]
    (first, *_) = asyncio.run(passes(60, large, [(251, 2)], [(252, 2)], [(253, 2)]))
    assert {1, 2, 3} <= set(first)
    assert first.count(0) >= 2  # and the rest of the pass is not wasted


def test_a_prompt_with_a_thousand_responses_leaves_room_in_the_first_pass() -> None:
    (first, *_) = asyncio.run(passes(60, [(1, 2)] * 1000, [(2, 2)], [(3, 2)]))
    assert {1, 2} <= set(first)


def test_what_fits_behind_a_job_that_does_not_fills_the_pass_and_the_job_is_first_in_the_next() -> None:
    assert asyncio.run(passes(22, [(1, 6)], [(2, 14)], [(3, 2)], [(4, 2)])) == [[0, 2, 3], [1]]


@given(
    requests=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), min_size=1, max_size=8), min_size=1, max_size=6
    ),
    pack_tokens=st.integers(1, 60),
)
def test_every_job_is_taken_once_and_every_request_has_a_turn_before_another_has_two(
    requests: list[list[tuple[int, int]]], pack_tokens: int
) -> None:
    made = asyncio.run(passes(pack_tokens, *requests))
    taken = [number for one in made for number in one]
    assert sorted(taken) == [number for number, request in enumerate(requests) for _ in request]
    assert all(made)
    for number in range(len(requests)):  # a request's first job comes within as many passes as there are requests
        assert next(place for place, one in enumerate(made) if number in one) <= number


@pytest.mark.parametrize("pack_tokens", [6, 100])
def test_cancelled_jobs_leave_no_trace(pack_tokens: int) -> None:
    async def use() -> list[bytes]:
        queue: FairQueue[Any] = FairQueue(pack_tokens)
        gone, kept = [waiting(1), waiting(2)], [waiting(2), waiting(3)]
        queue.add(gone)
        queue.add(kept)
        for each in gone:
            each.answer.cancel()
        taken: list[bytes] = []
        while queue:
            taken += [each.job.prompt for each in queue.take()]
        return taken

    assert asyncio.run(use()) == [b"\2", b"\3"]


def test_large_bodies_are_parsed_one_after_another_with_pauses_between_them() -> None:
    async def use() -> list[str]:
        turns, done = ParsingTurns(), list[str]()

        async def parse(name: str, *, asked: bool = True) -> None:
            await turns.wait()
            done.append(f"{name} waited")
            await asyncio.sleep(0)
            if not asked:  # a path that is not served asks for no body
                turns.unused()
                return
            turns.begin()
            time.sleep(0.02)
            done.append(f"{name} parsed")

        async def others() -> None:
            while len(done) < 7:
                if done and done[-1] == "first parsed":
                    done.append("others")
                await asyncio.sleep(0.001)

        beside = asyncio.create_task(others())
        left = asyncio.create_task(parse("left"))
        await asyncio.sleep(0)
        work = [parse("first"), parse("second", asked=False), parse("third")]
        waiting = asyncio.create_task(parse("gone"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait_for(asyncio.gather(left, *work), 20)
        beside.cancel()
        return done

    done = asyncio.run(use())
    assert done == [
        "left waited",
        "left parsed",
        "first waited",
        "first parsed",
        "others",
        "second waited",
        "third waited",
        "third parsed",
    ]


def test_a_thread_with_a_part_of_the_time_rests_after_each_turn() -> None:
    """Three turns of 20 ms in a quarter of the time begin 80 ms apart at least."""
    began: list[float] = []

    def steps() -> Iterator[int]:
        began.append(time.monotonic())
        time.sleep(0.02)
        yield 1

    async def main() -> None:
        thread = FairThread("part", 1, 0.25)
        await asyncio.gather(*(thread.run(steps(), lambda: None) for _ in range(3)))
        await thread.close()

    asyncio.run(main())
    assert began[1] - began[0] >= 0.08
    assert began[2] - began[1] >= 0.08
