"""A model that knows its uncertainty: its rated rows lie around one response, which is familiar, and others are not.

It has intervals of ratings too, but for the last objective.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.folder import Exported, write_folder
from export.reward_config import run_config
from export.reward_model import RewardModel
from extract.backbone import find_backbone
from extract.encoded import Encoded
from extract.packing import Request
from extract.settings import BackboneSettings
from heads.ridge.conformal import ConformalIntervals
from heads.ridge.familiarity import calibrate
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.uncertainty import Uncertainty
from heads.settings import HeadSettings
from tests.conftest import TINY

PROMPT = "How do I bake bread?"
ANSWERS = ("Mix flour, water, salt and yeast, let it rise, and bake it for 40 minutes.", "No.")
FAMILIAR, UNFAMILIAR = (
    [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}] for answer in ANSWERS
)
ROWS = 240
"""Rated rows, half of them for validation."""


def features_of(model: RewardModel, conversation: Sequence[dict[str, str]]) -> NDArray[np.float32]:
    """The features (d,) that the model scores a conversation by."""
    request = Request()
    encoded = model.encode(list(conversation))
    assert isinstance(encoded, Encoded)
    _, (response,) = request.add(encoded)
    (pack,) = request.plan(set(map(bytes, request.keys())), model.max_tokens)
    layout = request.layout(pack)
    (states,) = model._engine.features([layout])
    features: NDArray[np.float32] = states.reshape(len(states), -1)[[bytes(key) for key in layout.keys].index(response)]
    return features


def uncertainty_around(features: NDArray[np.float32], objectives: tuple[str, ...], seed: int = 0) -> Uncertainty:
    """The uncertainty of heads that are fitted to ratings of responses around one response.

    The last objective is rated for half of the rows alone, and so has a factor of its own.

    Args:
        features: (d,) of that response.
        objectives: names of the k objectives.
        seed: seed of the rows and ratings.
    """
    rng = np.random.default_rng(seed)
    size = float(np.abs(features).mean())
    rows = (features + 0.5 * size * rng.standard_normal((ROWS, len(features)))).astype(np.float32)  # (n, d)
    common = rng.standard_normal((ROWS, 1))  # noise that objectives share
    ratings = rng.uniform(0, 1, (1, len(objectives))) + 0.2 * (common + rng.standard_normal((ROWS, len(objectives))))
    ratings[::2, -1] = np.nan
    statistics = GramStatistics(objectives, len(features))
    cut = ROWS // 2
    statistics.add("set", "train", rows[:cut], ratings[:cut])
    statistics.add("set", "validation", rows[cut:], ratings[cut:])
    factors = fit_heads(statistics, HeadSettings(alphas=(1.0,)), skip_unfit=False).factors
    assert factors is not None
    return calibrate(factors, rows[cut:], ratings[cut:])


def intervals_beside(uncertainty: Uncertainty, coverage: float = 0.9) -> ConformalIntervals:
    """Intervals over the factors of an uncertainty; too few rows calibrated those of the last objective."""
    half_width = np.linspace(0.1, 0.3, len(uncertainty.factor_of))
    half_width[-1] = np.nan
    return ConformalIntervals(coverage, half_width, 0.5 * half_width, uncertainty.factor_of)


@pytest.fixture(scope="session")
def uncertain_folder(model: RewardModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's model as an exported folder, with an uncertainty by which one answer is familiar."""
    uncertainty = uncertainty_around(features_of(model, FAMILIAR), model.objectives)
    parts = replace(model.parts, uncertainty=uncertainty, intervals=intervals_beside(uncertainty))
    settings = BackboneSettings.model_validate({"model": str(TINY), "dtype": "float32"})
    backbone = find_backbone(settings)
    folder = tmp_path_factory.mktemp("uncertain") / "model"
    config = run_config(parts, model.config.scales, settings, backbone)
    write_folder(folder, Exported(backbone, config, parts, {}, "card"), "link")
    return folder


@pytest.fixture(scope="session")
def uncertain(uncertain_folder: Path) -> RewardModel:
    """The model in that folder: `FAMILIAR` is familiar to it, and `UNFAMILIAR` is not."""
    return RewardModel.load(uncertain_folder, device="cpu")
