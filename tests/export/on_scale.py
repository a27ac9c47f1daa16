"""A small exported folder that holds moments of a reference set, so that its rewards can be had on every scale."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from export.reward_model import RewardModel
from gating.moments import Moments, ReferenceMoments

MOMENTS = ReferenceMoments(
    responses=50,
    rewards={
        "kind": Moments(mean=0.25, std=0.5),
        "true": Moments(mean=-0.5, std=0.75),
        "long": Moments(mean=0.1, std=0.2),
    },
    debiased={
        "kind": Moments(mean=0.2, std=0.45),
        "true": Moments(mean=-0.6, std=0.7),
        "long": Moments(mean=0.0, std=None),
    },
    scored=40,
    score=Moments(mean=-0.5, std=1.25),
)
TEMPERATURE = 0.8


def write_with_moments(source: Path, out: Path, **changed: Any) -> Path:
    """Copy an exported folder, with `MOMENTS` and other changes of the table in its config.json."""
    shutil.copytree(source, out, symlinks=True)
    config = json.loads((source / "config.json").read_text())
    config["armorm"] |= {"reference": MOMENTS.model_dump(mode="json"), "score_temperature": TEMPERATURE} | changed
    (out / "config.json").write_text(json.dumps(config))
    return out


@pytest.fixture(scope="session")
def on_scale_folder(small_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small folder with moments."""
    return write_with_moments(small_export, tmp_path_factory.mktemp("on_scale") / "model")


@pytest.fixture(scope="session")
def on_scale(on_scale_folder: Path) -> RewardModel:
    """The model in that folder."""
    return RewardModel.load(on_scale_folder, device="cpu")
