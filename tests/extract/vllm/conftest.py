"""Engines on vLLM's CPU build, which `make test-vllm` installs into a venv of its own; elsewhere these are skipped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from extract.backbone import Backbone
from extract.engines import ENGINES
from extract.engines.engine import Engine
from extract.engines.vllm_engine import VllmEngine
from extract.packing import PackLayout, Request
from extract.settings import BackboneSettings, ExtractSettings, VllmSettings
from extract.templating import Encoded

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # the scheduler in this process, to look into it

CPU = torch.device("cpu")
VLLM_WARNINGS = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning")]
"""vLLM's own, which are not ours to mend."""
BLOCK = 32
"""Tokens of a block of the cache. The CPU build's own 128 would share none of these tests' short prompts."""


@pytest.fixture(autouse=True, scope="session")
def _vllm_is_installed() -> None:
    if find_spec("vllm") is None:
        pytest.skip("vllm is not installed")


@contextmanager
def started(backbone: Backbone, settings: BackboneSettings, **overrides: Any) -> Iterator[VllmEngine]:
    """An engine with a small cache and with vLLM's counters. One at a time: vLLM keeps state by process."""
    chosen = VllmSettings(kv_cache_memory_bytes=64 << 20, enforce_eager=True)
    overrides = {"block_size": BLOCK, "disable_log_stats": False} | overrides
    engine = VllmEngine(backbone, settings, ExtractSettings(engine="vllm", vllm=chosen), CPU, **overrides)
    try:
        yield engine
    finally:
        engine._stop()


def other_engine(name: str, backbone: Backbone, settings: BackboneSettings) -> Engine:
    """The engine that vLLM's is compared with."""
    return ENGINES[name](backbone, settings, ExtractSettings(), CPU)


def counted(engine: VllmEngine, name: str) -> float:
    """One of vLLM's own counters."""
    return sum(metric.value for metric in engine._llm.get_metrics() if metric.name == f"vllm:{name}")


def layout_of(*groups: tuple[int, list[int]], seed: int = 0, vocabulary: int = 8000) -> PackLayout:
    """Random prompts of given lengths, each with responses of given lengths, in one pack."""
    rng = np.random.default_rng(seed)
    request = Request()
    for prompt, responses in groups:
        ids = [rng.integers(6, vocabulary, length, dtype=np.uint32) for length in (prompt, *responses)]
        request.add(Encoded(ids[0], tuple(ids[1:])))
    (pack,) = request.plan(set(map(bytes, request.keys())), 1_000_000)
    return request.layout(pack)
