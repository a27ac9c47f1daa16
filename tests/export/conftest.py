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
from export.reward_config import RewardConfig
from export.turns import TurnMarkers
from export.weights import Weights
from extract.backbone import find_backbone
from extract.settings import BackboneSettings
from extract.templating import ConversationEncoder
from gating.gate import Gate
from gating.reward import RewardParts
from gating.settings import GateSettings
from gating.transform import Transform
from tests.conftest import TINY
from tests.export.server_fixtures import model, model_folder, served
from tests.pipelines.conftest import Demo, armorm, demo

__all__ = ["demo", "model", "model_folder", "served"]

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


def random_parts(d: int, verbosity: str, seed: int = 0, objectives: tuple[str, ...] = OBJECTIVES) -> RewardParts:
    """Heads, transform and gate over d features."""
    rng = np.random.default_rng(seed)
    k = len(objectives)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        gate = Gate(d, k, GateSettings(hidden_size=16, hidden_layers=2, temperature=1.0))
        with torch.no_grad():
            gate.logit_scale.fill_(2.5)
    lambdas = rng.uniform(0, 1, k)
    weight = (rng.standard_normal((k, d)) / d**0.5).astype(np.float32)
    return RewardParts(objectives, weight, Transform.of_lambdas(lambdas, verbosity, objectives), gate.eval())


@pytest.fixture
def random_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with random heads over a backbone."""

    def write(
        *, model: Path = TINY, verbosity: str = "long", weights: Weights = "copy", name: str = "model", **settings: Any
    ) -> Path:
        own = BackboneSettings.model_validate({"model": str(model), "dtype": "float32", "max_tokens": 512} | settings)
        backbone = find_backbone(own)
        parts = random_parts(len(own.layers) * backbone.hidden_size, verbosity)
        markers = TurnMarkers.of(ConversationEncoder(backbone.tokenizer, own, backbone.vocabulary), own.position)
        config = RewardConfig(
            objectives=OBJECTIVES,
            verbosity=verbosity,
            layers=own.layers,
            position=own.position,
            max_tokens=own.max_tokens,
            dtype=own.dtype,
            prompt_end=markers.prompt_end,
            prompt_end_offset=markers.offset,
            trailing=markers.trailing,
        )
        write_folder(tmp_path / name, Exported(backbone, config, parts, {}, "card"), weights)
        return tmp_path / name

    return write


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
