"""In which dtype the gate's hidden layers are multiplied while it trains."""

import pytest
import torch

from gating.settings import GateSettings
from gating.training.precision import multiplies_bfloat16, training_dtype


def of(precision: str, features: int = 4096, **others: int) -> torch.dtype:
    return training_dtype(GateSettings.model_validate({"precision": precision, **others}), features)


def test_what_the_recipe_names_is_used() -> None:
    assert of("float32") == torch.float32
    assert of("bfloat16", features=2, hidden_size=2) == torch.bfloat16


@pytest.mark.parametrize("able", [True, False])
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    monkeypatch.setattr("gating.training.precision.multiplies_bfloat16", lambda: able)
    assert of("auto") == (torch.bfloat16 if able else torch.float32)


def test_auto_keeps_small_gates_and_gates_without_hidden_layers_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gating.training.precision.multiplies_bfloat16", lambda: True)
    assert of("auto", features=256, hidden_size=256) == torch.float32
    assert of("auto", hidden_layers=0) == torch.float32


def test_the_processor_answers() -> None:
    assert multiplies_bfloat16() in (True, False)
