"""Through vLLM come the features that the other engines compute, in float32 to 1e-5."""

import logging
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
@pytest.mark.parametrize("pack_tokens", [256, 4096])
def test_features_equal_the_other_engines(
    engine: VllmEngine,
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    other: str,
    pack_tokens: int,
) -> None:
    request = make_request(seed=1, prompts=25)
    got = features_by_key(engine, request, pack_tokens)
    expected = features_by_key(other_engine(other, tiny, tiny_settings), request, 2048)
    assert got.keys() == {bytes(key) for key in request.keys()}
    assert relative_difference(got, expected) < 1e-5


def test_a_prompt_is_computed_once_to_the_block_and_read_with_its_first_response(engine: VllmEngine) -> None:
    prompt, responses = 100, [40, 41, 42, 43, 44]
    layout = layout_of((prompt, responses), seed=11)
    before = {name: counted(engine, name) for name in ("prefix_cache_hits", "prompt_tokens", "request_success")}
    features = engine.features(layout)
    grown = {name: counted(engine, name) - count for name, count in before.items()}
    assert features.shape == (6, 1, 256)
    assert grown["request_success"] == 5
    assert grown["prompt_tokens"] == 5 * prompt + sum(responses)
    assert grown["prefix_cache_hits"] == 4 * (prompt // BLOCK) * BLOCK


def test_a_prompt_that_lies_in_the_cache_is_still_read(engine: VllmEngine) -> None:
    layout = layout_of((100, [40]), (96, []), seed=12)
    first = engine.features(layout)
    hits = counted(engine, "prefix_cache_hits")
    second = engine.features(layout)
    # The prompt alone reads its last token only, so that a prefix of it may come from the cache.
    assert counted(engine, "prefix_cache_hits") - hits == 96 - BLOCK
    assert np.isfinite(first).all()
    assert np.linalg.norm(second - first) / np.linalg.norm(first) < 1e-5


def test_a_state_that_was_not_computed_is_never_taken_for_one(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = layout_of((100, [40]), seed=13)
    engine.features(layout)
    monkeypatch.setattr(StateRequest, "reads_last_token_only", True)  # a request that breaks its promise
    with pytest.raises(RuntimeError, match=f"1 of 2 states of the sequence {bytes(layout.keys[1]).hex()}"):
        engine.features(layout)


def test_what_vllm_does_not_take_is_named_and_keeps_nothing_else_out(
    engine: VllmEngine, tiny: Backbone, tiny_settings: BackboneSettings, caplog: pytest.LogCaptureFixture
) -> None:
    longest = tiny_settings.max_tokens
    layout = layout_of((48, [longest - 48, longest - 47, 20, 30]), (30, [12]), seed=14)
    alien = int(layout.rows[-1])  # the last token of the last response
    layout.token_ids[alien] = 8192
    with caplog.at_level(logging.WARNING, logger="extract"):
        got = engine.features(layout)
    bad = np.isnan(got).any(axis=(-1, -2))  # (features,)
    assert layout.n_tokens[bad].tolist() == [longest + 1, 42]
    assert (layout.n_tokens[~bad] == longest).any()
    names = [bytes(key).hex() for key in layout.keys[bad]]
    assert [record.getMessage() for record in caplog.records] == [
        f"the sequence {names[0]} has {longest + 1} tokens, more than the {longest} that vLLM was started for;"
        " it has no feature",
        f"the sequence {names[1]} has the token id 8192, outside the backbone's vocabulary of 8192; it has no feature",
    ]
    layout.token_ids[alien] = 7
    expected = other_engine("sequential", tiny, tiny_settings).features(layout)
    assert np.linalg.norm(got[~bad] - expected[~bad]) / np.linalg.norm(expected[~bad]) < 1e-5


def test_an_empty_sequence_is_named(engine: VllmEngine, caplog: pytest.LogCaptureFixture) -> None:
    layout = layout_of((0, [9]))
    with caplog.at_level(logging.WARNING, logger="extract"):
        got = engine.features(layout)
    assert np.isnan(got).any(axis=(-1, -2)).tolist() == [True, False]
    assert "is empty; it has no feature" in caplog.text
