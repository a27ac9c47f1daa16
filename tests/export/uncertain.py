"""A model that knows its uncertainty: its rated rows lie around one response, which is familiar, and others are not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.reward_model import RewardModel
from extract.encoded import Encoded
from extract.packing import Request
from heads.ridge.familiarity import calibrate
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.uncertainty import Uncertainty
from heads.settings import HeadSettings

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


@pytest.fixture(scope="session")
def uncertain(model_folder: Path) -> RewardModel:
    """The server's model, with an uncertainty by which `FAMILIAR` is familiar and `UNFAMILIAR` is not."""
    model = RewardModel.load(model_folder, device="cpu")
    model.parts = replace(model.parts, uncertainty=uncertainty_around(features_of(model, FAMILIAR), model.objectives))
    return model
