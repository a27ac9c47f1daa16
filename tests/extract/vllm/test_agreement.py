"""Through vLLM come the features that the other engines compute, in float32 to 1e-5."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from extract.backbone import Backbone
from extract.engines.vllm_engine import VllmEngine
from extract.engines.vllm_requests import StateRequest
from extract.packing import Request
from extract.settings import BackboneSettings
from tests.extract.test_engines import features_by_key, relative_difference
from tests.extract.vllm.conftest import BLOCK, VLLM_WARNINGS, counted, layout_of, other_engine, started

pytestmark = VLLM_WARNINGS


@pytest.fixture(scope="module")
def engine(tiny: Backbone, tiny_settings: BackboneSettings) -> Iterator[VllmEngine]:
    """The bundled backbone in float32, for all tests here."""
    with started(tiny, tiny_settings) as engine:
        yield engine


@pytest.mark.parametrize("other", ["packed", "sequential"])
@pytest.mark.parametrize(("pack_tokens", "call_tokens"), [(256, 1000), (256, 1_000_000), (4096, 1)])
def test_features_equal_the_other_engines(
    engine: VllmEngine,
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
    other: str,
    pack_tokens: int,
    call_tokens: int,
) -> None:
    monkeypatch.setattr(engine, "_call_tokens", call_tokens)
    request = make_request(seed=1, prompts=25)
    got = features_by_key(engine, request, pack_tokens)
    expected = features_by_key(other_engine(other, tiny, tiny_settings), request, 2048)
    assert got.keys() == {bytes(key) for key in request.keys()}
    assert relative_difference(got, expected) < 1e-5


def test_a_prompt_is_computed_once_to_the_block_and_read_with_its_first_response(engine: VllmEngine) -> None:
    prompt, responses = 100, [40, 41, 42, 43, 44]
    layout = layout_of((prompt, responses), seed=11)
    before = {name: counted(engine, name) for name in ("prefix_cache_hits", "prompt_tokens", "request_success")}
    (features,) = engine.features([layout])
    grown = {name: counted(engine, name) - count for name, count in before.items()}
    assert features.shape == (6, 1, 256)
    assert grown["request_success"] == 5
    assert grown["prompt_tokens"] == 5 * prompt + sum(responses)
    assert grown["prefix_cache_hits"] == 4 * (prompt // BLOCK) * BLOCK


def test_a_prompt_that_lies_in_the_cache_is_still_read(engine: VllmEngine) -> None:
    layout = layout_of((100, [40]), (96, []), seed=12)
    (first,) = engine.features([layout])
    hits = counted(engine, "prefix_cache_hits")
    (second,) = engine.features([layout])
    # The prompt alone reads its last token only, so that a prefix of it may come from the cache.
    assert counted(engine, "prefix_cache_hits") - hits == 96 - BLOCK
    assert np.isfinite(first).all()
    assert np.linalg.norm(second - first) / np.linalg.norm(first) < 1e-5


def test_a_state_that_was_not_computed_is_never_taken_for_one(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of((100, [40]), seed=13)
    list(engine.features([layout]))
    monkeypatch.setattr(StateRequest, "reads_last_token_only", True)  # a request that breaks its promise
    with pytest.raises(RuntimeError, match=f"1 of 2 states of the sequence {bytes(layout.keys[1]).hex()}"):
        list(engine.features([layout]))
