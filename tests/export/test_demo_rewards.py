"""The demo's exported folder gives its rewards on every scale, by moments of the run's own reference set."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cache.keys import key_column
from export.reward_model import RewardModel
from gating.reward_scales import SCALES
from tests.export.conftest import SEVERAL
from tests.pipelines.conftest import Demo
from tests.pipelines.small_run import store_of


def test_a_standard_score_is_one_of_the_training_responses(demo: Demo, exported: Path) -> None:
    model = RewardModel.load(exported, device="cpu")
    reference = model.config.reference
    assert reference is not None
    assert reference.model_dump(mode="json") == demo.results["train-gating"]["reference"]
    pairs = pl.read_parquet(demo.run / "tables" / "pairs.parquet").filter(pl.col("split") == "train")
    own = {}  # response -> its prompt and length
    for side in ("chosen", "rejected"):
        for key, prompt, tokens in pairs.select(f"{side}_key", "prompt_key", f"{side}_tokens").iter_rows():
            own.setdefault(key, (prompt, tokens))
    store = store_of(demo.folder / "demo.toml")
    features, prompts = (
        store.gather(key_column(pl.Series(keys, dtype=pl.Binary))).reshape(len(keys), -1)
        for keys in (list(own), [prompt for prompt, _ in own.values()])
    )
    rewards, gate = model.parts.rewards(features), model.parts.weights(prompts)
    results = [
        model.parts.score(reward, weights, 1, tokens)
        for reward, weights, (_, tokens) in zip(rewards, gate, own.values(), strict=True)
    ]
    assert reference.responses == reference.scored == len(results)
    names = [name for name in (*model.objectives, "score") if name != "helpsteer-verbosity"]
    for debiased in (False, True):
        standard = model.scales.chosen(names, "standardised", debiased=debiased).of(results)
        np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-4)


def test_the_sigmoid_of_the_score_has_the_temperature_of_the_gate(demo: Demo, exported: Path) -> None:
    model = RewardModel.load(exported, device="cpu")
    temperature = demo.results["train-gating"]["rules"]["gate"]["score_temperature"]
    assert json.loads((exported / "config.json").read_text())["armorm"]["score_temperature"] == temperature
    one, other = model.rewards(SEVERAL[:2], ["score"], scale="sigmoid")[:, 0]
    gap = np.log(one / (1 - one)) - np.log(other / (1 - other))
    scores = [scored.score for scored in model.score(SEVERAL[:2])]
    assert gap == pytest.approx((scores[0] - scores[1]) / temperature, rel=1e-5)


def test_every_objective_has_every_scale(exported: Path) -> None:
    model = RewardModel.load(exported, device="cpu")
    for scale in SCALES:
        assert model.scales.available(scale) == model.objectives
        assert np.isfinite(model.rewards(SEVERAL, model.objectives, scale=scale)).all()
