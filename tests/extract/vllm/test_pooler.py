"""The pooler finds a request's positions whatever chunks its tokens come in, and in whatever company.

vLLM's two model runners differ in what they remember of a pre-empted request: one goes on with the same state, the
other starts a new one. The CPU build has the first alone, so both are acted out here, on vLLM's own metadata.
"""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.extract.vllm.conftest import VLLM_WARNINGS

pytestmark = VLLM_WARNINGS

D = 3


class Played:
    """A request as a scheduler knows it: its states, what is wanted of it, how far it is."""

    def __init__(self, number: int, tokens: int, positions: list[int]) -> None:
        from vllm import PoolingParams
        from vllm.v1.pool.metadata import PoolingStates

        self.states = torch.arange(tokens * D, dtype=torch.float32).reshape(tokens, D) + 1000 * number
        self.positions = positions
        self.params = PoolingParams(task="token_embed", extra_kwargs={"positions": positions})
        self.memory: Any = PoolingStates()
        self.done = 0
        self.result: torch.Tensor | None = None

    def forget(self, also_memory: bool) -> None:
        """Pre-empt: compute again from the first token."""
        from vllm.v1.pool.metadata import PoolingStates

        self.done = 0
        if also_memory:
            self.memory = PoolingStates()


def step(pooler: Any, scheduled: list[tuple[Played, int]]) -> None:
    """One step of a model runner: some tokens of some requests."""
    from vllm.v1.pool.metadata import PoolingMetadata

    metadata = PoolingMetadata(
        prompt_lens=torch.tensor([len(request.states) for request, _ in scheduled]),
        prompt_token_ids=None,
        prompt_token_ids_cpu=None,
        pooling_params=[request.params for request, _ in scheduled],
        pooling_states=[request.memory for request, _ in scheduled],
    )
    counts = np.array([count for _, count in scheduled])
    stops = torch.tensor([request.done + count for request, count in scheduled])
    metadata.build_pooling_cursor(counts, seq_lens_cpu=stops, device=torch.device("cpu"))
    buffer = torch.cat([request.states[request.done : request.done + count] for request, count in scheduled])
    outputs = pooler(buffer, metadata)
    buffer.fill_(float("nan"))  # as a CUDA graph's next replay would
    for (request, count), output in zip(scheduled, outputs, strict=True):
        request.done += count
        assert (output is not None) == (request.done == len(request.states))
        request.result = output


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_positions_are_found_in_any_chunks_and_after_any_preemption(data: st.DataObject) -> None:
    from extract.engines.vllm_pooler import PositionPooler

    pooler = PositionPooler()
    requests = []
    for number in range(data.draw(st.integers(1, 5), label="requests")):
        tokens = data.draw(st.integers(1, 12), label="tokens")
        positions = data.draw(st.lists(st.integers(0, tokens - 1), min_size=1, max_size=3, unique=True))
        requests.append(Played(number, tokens, sorted(positions)))
    preemptions = 0
    while waiting := [request for request in requests if request.result is None]:
        for request in waiting:
            if request.done and preemptions < 6 and data.draw(st.booleans(), label="pre-empted"):
                request.forget(also_memory=data.draw(st.booleans(), label="forgotten"))
                preemptions += 1
        chosen = data.draw(st.lists(st.sampled_from(waiting), min_size=1, unique=True), label="scheduled")
        step(
            pooler,
            [(request, data.draw(st.integers(1, len(request.states) - request.done))) for request in chosen],
        )
    for request in requests:
        assert torch.equal(request.result, request.states[request.positions])
    assert len(pooler._kept) == 0


def test_a_position_that_is_never_computed_has_no_row() -> None:
    from extract.engines.vllm_pooler import PositionPooler

    request = Played(0, 8, [3, 7])
    request.done = 4  # these came from the prefix cache
    step(PositionPooler(), [(request, 4)])
    assert torch.equal(request.result, request.states[7:])


def test_states_leave_in_float32_and_a_dropped_request_takes_its_own_with_it() -> None:
    from extract.engines.vllm_pooler import PositionPooler

    pooler = PositionPooler()
    half, dropped = Played(0, 4, [1, 3]), Played(1, 4, [0])
    half.states = half.states.to(torch.bfloat16)
    step(pooler, [(half, 4)])
    assert half.result.dtype == torch.float32
    step(pooler, [(dropped, 2)])
    assert len(pooler._kept) == 1
    del dropped
    assert len(pooler._kept) == 0
