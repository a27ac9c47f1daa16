"""The queue in front of the model: packs, order, room, and what happens when a pass fails."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache import UserError
from export.server.batching import Batcher, ModelFailedError, QueueFullError
from export.server.fair_queue import Job
from export.server.health import Health
from export.server.metrics import Metrics
from extract.encoded import Encoded

Score = Callable[[Sequence[Encoded]], list[Any]]


def job(prompt: int, response: int, prompt_tokens: int = 4, response_tokens: int = 2) -> Job:
    encoded = Encoded(np.full(prompt_tokens, prompt, np.uint32), (np.full(response_tokens, response, np.uint32),))
    return Job(bytes([prompt]), prompt_tokens, response_tokens, encoded)


def identity(encoded: Encoded) -> tuple[int, int]:
    return int(encoded.prompt[0]), int(encoded.responses[0][0])


class Recorder:
    """A model that answers with the question, and remembers its passes."""

    def __init__(self) -> None:
        self.passes: list[list[tuple[int, int]]] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, encoded: Sequence[Encoded]) -> list[tuple[int, int]]:
        self.open.wait(10)
        self.passes.append([identity(one) for one in encoded])
        return self.passes[-1]


def run(score: Score, use: Callable[[Batcher[Any]], Any], **settings: Any) -> Any:
    async def main() -> Any:
        chosen = {"pack_tokens": 20, "wait_seconds": 0.0, "queue_tokens": 10_000, "health": Health(), **settings}
        batcher: Batcher[Any] = Batcher(score, metrics=Metrics(), **chosen)
        batcher.start()
        try:
            return await asyncio.wait_for(use(batcher), 20)
        finally:
            await batcher.close()

    return asyncio.run(main())


@given(
    requests=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(1, 30)), min_size=1, max_size=6),
        min_size=1,
        max_size=8,
    ),
    pack_tokens=st.integers(1, 60),
    wait=st.sampled_from([0.0, 0.001]),
)
def test_every_question_has_its_own_answer_and_no_pack_is_too_long(
    requests: list[list[tuple[int, int, int]]], pack_tokens: int, wait: float
) -> None:
    model = Recorder()
    lengths = {(prompt, response): tokens for request in requests for prompt, response, tokens in request}

    async def use(batcher: Batcher[Any]) -> list[list[Any]]:
        futures = []
        for request in requests:
            futures.append(batcher.submit([job(p, r, response_tokens=lengths[p, r]) for p, r, _ in request]))
            await asyncio.sleep(0)
        return [list(await asyncio.gather(*each)) for each in futures]

    told = run(model, use, pack_tokens=pack_tokens, wait_seconds=wait)
    assert told == [[(prompt, response) for prompt, response, _ in request] for request in requests]
    for made in model.passes:
        tokens = 4 * len({prompt for prompt, _ in made}) + sum(lengths[each] for each in made)
        assert tokens <= pack_tokens or len(made) == 1


def test_responses_to_a_prompt_share_a_pass_whoever_asks() -> None:
    model = Recorder()

    async def use(batcher: Batcher[Any]) -> None:
        model.open.clear()
        first = batcher.submit([job(9, 9)])
        await asyncio.sleep(0.05)  # the model is busy with it
        rest = batcher.submit([job(1, 1), job(2, 1)]) + batcher.submit([job(1, 2), job(2, 2)])
        model.open.set()
        await asyncio.gather(*first, *rest)

    run(model, use, pack_tokens=8)
    assert [sorted(made) for made in model.passes] == [[(9, 9)], [(1, 1), (1, 2)], [(2, 1), (2, 2)]]


def test_a_prompt_with_a_thousand_responses_does_not_keep_others_waiting() -> None:
    model = Recorder()

    async def use(batcher: Batcher[Any]) -> None:
        model.open.clear()
        many = batcher.submit([job(1, number) for number in range(100)])
        await asyncio.sleep(0.05)
        one = batcher.submit([job(2, 0)])
        model.open.set()
        await asyncio.gather(*many, *one)

    run(model, use)
    assert next(number for number, made in enumerate(model.passes) if (2, 0) in made) <= 2


def test_an_idle_model_waits_for_company_and_a_full_pack_waits_for_nothing() -> None:
    model = Recorder()

    async def use(batcher: Batcher[Any]) -> float:
        first = batcher.submit([job(1, 1)])
        await asyncio.sleep(0.02)
        second = batcher.submit([job(2, 2)])
        await asyncio.gather(*first, *second)
        assert len(model.passes) == 1
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*batcher.submit([job(3, 3, response_tokens=30)]))
        return asyncio.get_running_loop().time() - started

    assert run(model, use, wait_seconds=0.3) < 0.2


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    model = Recorder()

    async def use(batcher: Batcher[Any]) -> None:
        model.open.clear()
        first = batcher.submit([job(1, 1)])
        await asyncio.sleep(0.05)
        rest = batcher.submit([job(2, number) for number in range(5)])
        with pytest.raises(QueueFullError) as refused:
            batcher.submit([job(3, 3)])
        assert 1 <= refused.value.retry_after <= 60
        model.open.set()
        await asyncio.gather(*first, *rest)
        await asyncio.gather(*batcher.submit([job(3, 3)]))

    run(model, use, queue_tokens=32)


def test_what_is_cancelled_is_not_computed() -> None:
    model = Recorder()

    async def use(batcher: Batcher[Any]) -> None:
        model.open.clear()
        first = batcher.submit([job(1, 1)])
        await asyncio.sleep(0.05)
        unwanted = batcher.submit([job(2, number) for number in range(9)])
        wanted = batcher.submit([job(3, 3)])
        for future in unwanted:
            future.cancel()
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            batcher.submit([job(4, 4, response_tokens=60)])
        batcher.submit([job(4, 4, response_tokens=40)])[0].cancel()  # what was cancelled takes no room
        model.open.set()
        await asyncio.gather(*first, *wanted)

    run(model, use, queue_tokens=60)
    assert model.passes == [[(1, 1)], [(3, 3)]]


def test_a_conversation_that_breaks_a_pass_breaks_it_for_itself_alone() -> None:
    def fragile(encoded: Sequence[Encoded]) -> list[Any]:
        if any(identity(one) == (2, 2) for one in encoded):
            raise RuntimeError("the device is cross")
        if any(identity(one) == (3, 3) for one in encoded):
            raise UserError("a conversation of 9 tokens does not fit")
        return [identity(one) for one in encoded]

    health = Health()

    async def use(batcher: Batcher[Any]) -> list[Any]:
        told = await asyncio.gather(*batcher.submit([job(1, 1), job(2, 2), job(3, 3), job(1, 4)]))
        assert health.answer("m").status_code == 200  # two were scored
        await asyncio.gather(*batcher.submit([job(2, 2)]))
        assert health.answer("m").status_code == 503
        await asyncio.gather(*batcher.submit([job(3, 3)]))
        assert health.answer("m").status_code == 503  # too long for the device: that says nothing
        await asyncio.gather(*batcher.submit([job(1, 1)]))
        assert health.answer("m").status_code == 200
        return list(told)

    first, second, third, fourth = run(fragile, use, pack_tokens=100, health=health)
    assert (first, fourth) == ((1, 1), (1, 4))
    assert isinstance(second, ModelFailedError)
    assert "cross" not in str(second)
    assert isinstance(third, UserError)
