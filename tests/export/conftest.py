"""Small exported folders: with random heads, in a second, and the demo's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from export.folder import Exported, write_folder
from export.reward_config import run_config
from export.weights import Weights
from extract.backbone import find_backbone
from extract.settings import BackboneSettings
from gating.gate import Gate
from gating.reward import RewardParts
from gating.settings import GateSettings, Verbosity, variables_of
from heads.objectives import Scale
from tests.conftest import TINY
from tests.export.families import small_backbone
from tests.export.on_scale import on_scale, on_scale_folder
from tests.export.server_fixtures import model, model_folder, served
from tests.export.steering_profiles import steerable, steerable_folder
from tests.export.uncertain import uncertain, uncertain_folder
from tests.gating.transforms import transform_of
from tests.pipelines.conftest import Demo, armorm, demo

__all__ = [
    "demo",
    "model",
    "model_folder",
    "on_scale",
    "on_scale_folder",
    "served",
    "steerable",
    "steerable_folder",
    "uncertain",
    "uncertain_folder",
]

OBJECTIVES = ("kind", "true", "long")


@pytest.fixture(scope="session", autouse=True)
def modules_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let transformers keep the code of exported folders in a folder of the tests."""
    import transformers.dynamic_module_utils

    folder = str(tmp_path_factory.mktemp("modules"))
    transformers.dynamic_module_utils.HF_MODULES_CACHE = folder


@pytest.fixture(scope="session")
def exported(demo: Demo) -> Path:
    """The demo's reward model, exported once."""
    folder = demo.folder.parent / "exported"  # beside the demo, which other tests copy meanwhile
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            done = armorm("export", "--recipe", "demo.toml", "--out", str(folder), "--json", folder=demo.folder)
            assert done.returncode == 0, done.stderr
            (demo.folder.parent / "export.json").write_text(done.stdout)
    return folder


def random_parts(d: int, verbosity: Verbosity, seed: int = 0, objectives: tuple[str, ...] = OBJECTIVES) -> RewardParts:
    """Heads, transform and gate over d features."""
    rng = np.random.default_rng(seed)
    k = len(objectives)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        gate = Gate(d, k, GateSettings(hidden_size=16, hidden_layers=2, temperature=1.0))
        with torch.no_grad():
            gate.logit_scale.fill_(2.5)
    lambdas = rng.uniform(0, 1, (max(1, len(variables_of(verbosity))), k))
    weight = (rng.standard_normal((k, d)) / d**0.5).astype(np.float32)
    return RewardParts(objectives, weight, transform_of(lambdas, verbosity, objectives), gate.eval())


def write_random_folder(
    out: Path, *, model: Path = TINY, verbosity: Verbosity = "long", weights: Weights = "copy", **settings: Any
) -> Path:
    """Write a folder with random heads over a backbone."""
    own = BackboneSettings.model_validate({"model": str(model), "dtype": "float32", "max_tokens": 512} | settings)
    backbone = find_backbone(own)
    parts = random_parts(len(own.layers) * backbone.hidden_size, verbosity)
    scales = {name: Scale(low=0, high=4) for name in OBJECTIVES}
    write_folder(out, Exported(backbone, run_config(parts, scales, own, backbone), parts, {}, "card"), weights)
    return out


@pytest.fixture
def random_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with random heads over a backbone."""
    return lambda *, name="model", **given: write_random_folder(tmp_path / name, **given)


@pytest.fixture(scope="session")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder with a backbone of two layers and few tokens, written once; tests change copies of it."""
    backbone = small_backbone(tmp_path_factory.mktemp("small") / "backbone", "llama")
    return write_random_folder(backbone.with_name("export"), model=backbone)


def conversation(*texts: str) -> list[dict[str, str]]:
    """Turns of the user and the assistant by turns."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


SEVERAL = [
    conversation("Name a colour.", "Red."),
    conversation("Name a colour.", "I would rather not, to be honest with you."),
    conversation("Hello", "Hi there", "What is two plus two, please?", "It is four."),
]


def export_json(demo: Demo) -> dict[str, Any]:
    """The output of `armorm export --json`."""
    told: dict[str, Any] = json.loads((demo.folder.parent / "export.json").read_text())
    return told
