"""A backbone that gives NaN for one sequence gives it for no other, whatever they share."""

import shutil
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from extract.backbone import Backbone, find_backbone
from extract.settings import BackboneSettings
from tests.extract.vllm.conftest import VLLM_WARNINGS, layout_of, other_engine, started

pytestmark = VLLM_WARNINGS


def test_a_state_that_is_nan_stays_with_its_own_sequence(
    tmp_path: Path, tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    poison = 100
    shutil.copytree(tiny.folder, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    (embeddings,) = (value for name, value in weights.items() if name.endswith("embed_tokens.weight"))
    embeddings[poison] = float("nan")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    settings = tiny_settings.model_copy(update={"model": str(tmp_path)})
    layout = layout_of((40, [30, 31, 32]), (50, [20, 21]), (60, [22]), seed=15)
    layout.token_ids[layout.token_ids == poison] = poison + 1
    layout.token_ids[layout.segments[2].start + 3] = poison  # inside the second response of the first prompt
    backbone = find_backbone(settings)
    with started(backbone, settings) as engine:
        rounds = [next(engine.features([layout])) for _ in range(3)]  # later ones reuse blocks that held NaN
    (expected,) = other_engine("sequential", backbone, settings).features([layout])
    poisoned = np.isnan(expected).any(axis=(-1, -2))  # (features,)
    assert poisoned.sum() == 1
    for got in rounds:
        assert np.array_equal(np.isnan(got).any(axis=(-1, -2)), poisoned)
        assert np.linalg.norm((got - expected)[~poisoned]) / np.linalg.norm(expected[~poisoned]) < 1e-5
