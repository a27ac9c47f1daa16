"""Features survive what vLLM's scheduler does to a request: chunks over several steps, and a start from the front."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from extract.backbone import Backbone
from extract.engines.vllm_engine import VllmEngine
from extract.packing import Request
from extract.settings import BackboneSettings
from extract.templating import Encoded
from tests.extract.test_engines import features_by_key, relative_difference
from tests.extract.vllm.conftest import BLOCK, VLLM_WARNINGS, counted, other_engine, started

pytestmark = VLLM_WARNINGS

STEP = 64
LONGEST = 256


def watch(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, int]], set[str]]:
    """Tokens of each request that a step computes, and the requests that are pre-empted, from now on."""
    scheduler: Any = engine._llm.llm_engine.engine_core.engine_core.scheduler
    schedule, preempt = scheduler.schedule, scheduler._preempt_request
    steps: list[dict[str, int]] = []
    preempted: set[str] = set()

    def watched_schedule(*arguments: Any, **more: Any) -> Any:
        chosen = schedule(*arguments, **more)
        steps.append(dict(chosen.num_scheduled_tokens))
        return chosen

    def watched_preempt(request: Any, *arguments: Any, **more: Any) -> Any:
        preempted.add(request.request_id)
        return preempt(request, *arguments, **more)

    monkeypatch.setattr(scheduler, "schedule", watched_schedule)
    monkeypatch.setattr(scheduler, "_preempt_request", watched_preempt)
    return steps, preempted


def long_conversations(seed: int, prompts: int) -> Request:
    """Prompts and responses of up to half the longest conversation each."""
    rng = np.random.default_rng(seed)

    def ids() -> np.ndarray:
        return rng.integers(6, 8000, rng.integers(20, LONGEST // 2 + 1), dtype=np.uint32)

    request = Request()
    for _ in range(prompts):
        request.add(Encoded(ids(), tuple(ids() for _ in range(rng.integers(1, 5)))))
    return request


def test_features_survive_chunked_prefill_and_preemption(
    tiny: Backbone, tiny_settings: BackboneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings.model_copy(update={"max_tokens": LONGEST})
    request = long_conversations(seed=5, prompts=16)
    # 8 layers of keys and values, 2 heads of 64 float32 each: room for ten blocks, hardly more than one conversation.
    block_bytes = BLOCK * 8 * 2 * 2 * 64 * 4
    with started(
        tiny,
        settings,
        max_num_batched_tokens=STEP,
        max_num_seqs=8,
        kv_cache_memory_bytes=10 * block_bytes,
        long_prefill_token_threshold=STEP // 4,  # so that several long requests are under way at once
    ) as engine:
        steps, preempted = watch(engine, monkeypatch)
        before = counted(engine, "num_preemptions")
        got = features_by_key(engine, request, 100_000)
        preemptions = counted(engine, "num_preemptions") - before

    chunks = Counter(name for step in steps for name in step)
    assert max(sum(step.values()) for step in steps) <= STEP
    assert max(chunks.values()) >= 4
    assert preemptions >= 3
    assert len(preempted) >= 3
    expected = features_by_key(other_engine("sequential", tiny, settings), request, 4096)
    assert relative_difference(got, expected) < 1e-5
