"""Out of memory, the packed engine goes on with half the tokens a pass, and its features stay the same."""

import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cache import UserError
from extract.backbone import Backbone
from extract.engines.packed import PackedEngine
from extract.packing import Request
from extract.settings import BackboneSettings, ExtractSettings
from tests.extract.test_engines import CPU, EXTRACT, features_by_key, relative_difference


class SmallDevice:
    """A backbone whose forward pass has room for so many tokens, and the lengths of the passes it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.asked: list[int] = []
        load = Backbone.load

        def loaded(*arguments: Any, **more: Any) -> Any:
            model = load(*arguments, **more)
            forward = model.forward

            def bounded(input_ids: torch.Tensor, **inputs: Any) -> Any:
                self.asked.append(input_ids.shape[-1])
                if input_ids.shape[-1] > room:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
                return forward(input_ids=input_ids, **inputs)

            model.forward = bounded
            return model

        monkeypatch.setattr(Backbone, "load", loaded)


@pytest.fixture
def request_and_features(
    tiny: Backbone, tiny_settings: BackboneSettings, make_request: Callable[..., Request]
) -> tuple[Request, dict[bytes, np.ndarray]]:
    request = make_request(seed=5, prompts=40)
    return request, features_by_key(PackedEngine(tiny, tiny_settings, EXTRACT, CPU), request, 2048)


def test_packs_are_halved_once_a_size_and_the_features_are_the_same(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    request_and_features: tuple[Request, dict[bytes, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request, expected = request_and_features
    device = SmallDevice(monkeypatch, room=600)
    engine = PackedEngine(tiny, tiny_settings, EXTRACT, CPU)
    with caplog.at_level(logging.WARNING, logger="extract.engines.packed"):
        got = features_by_key(engine, request, 2048)
    assert relative_difference(got, expected) < 1e-5
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 2, lines  # from 2,048 to 1,024, and from there to 512
    assert re.fullmatch(
        r"out of memory with [\d,]+ tokens a pass: going on with 1,024 \(extract.pack_tokens\)", lines[0]
    )
    assert re.fullmatch(r"out of memory with [\d,]+ tokens a pass: going on with 512 \(extract.pack_tokens\)", lines[1])
    again = len(device.asked)
    assert relative_difference(features_by_key(engine, request, 2048), expected) < 1e-5
    assert max(device.asked[again:]) <= 600, "a later pack was tried at a size that had failed"


def test_a_prompt_with_more_responses_than_fit_is_computed_in_parts(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = make_request(seed=6, prompts=1, most_responses=30, longest=60)
    expected = features_by_key(PackedEngine(tiny, tiny_settings, EXTRACT, CPU), request, 2048)
    assert len(expected) > 10
    SmallDevice(monkeypatch, room=300)
    got = features_by_key(PackedEngine(tiny, tiny_settings, EXTRACT, CPU), request, 2048)
    assert relative_difference(got, expected) < 1e-5


def test_compiled_packs_are_halved_too(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    request_and_features: tuple[Request, dict[bytes, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pack that was to be filled is cut as what it holds, not as what it would have been filled to."""
    request, expected = request_and_features
    monkeypatch.setattr("torch.nn.Module.compile", lambda *_, **__: None)  # the shapes alone matter here
    device = SmallDevice(monkeypatch, room=600)
    settings = ExtractSettings(pack_tokens=2048, compile="always")
    got = features_by_key(PackedEngine(tiny, tiny_settings, settings, CPU), request, 2048)
    assert relative_difference(got, expected) < 1e-5
    assert 2048 in device.asked


def test_a_conversation_longer_than_a_compiled_pass_runs_as_it_is(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    request_and_features: tuple[Request, dict[bytes, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, expected = request_and_features
    monkeypatch.setattr("torch.nn.Module.compile", lambda *_, **__: None)
    monkeypatch.setattr("extract.engines.packed.CPU_TOKENS", 64)
    device = SmallDevice(monkeypatch, room=10_000)
    settings = ExtractSettings(pack_tokens=2048, compile="always")
    got = features_by_key(PackedEngine(tiny, tiny_settings, settings, CPU), request, 2048)
    assert relative_difference(got, expected) < 1e-5
    assert 64 in device.asked
    assert max(device.asked) > 64


def test_a_conversation_that_does_not_fit_by_itself_is_one_sentence(
    tiny: Backbone,
    tiny_settings: BackboneSettings,
    make_request: Callable[..., Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    SmallDevice(monkeypatch, room=90)
    engine = PackedEngine(tiny, tiny_settings, EXTRACT, CPU)
    with pytest.raises(
        UserError,
        match=r"^a conversation of 1?\d\d tokens does not fit the memory of cpu by itself: lower backbone\.max_tokens",
    ) as caught:
        features_by_key(engine, make_request(seed=7, prompts=5, longest=120), 1024)
    assert "\n" not in str(caught.value)
