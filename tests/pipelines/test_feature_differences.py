"""Differences of features as pairs need them, read in the store's order."""

import numpy as np
import pytest

from cache.keys import unique_keys
from heads.stored import feature_differences
from pipelines.artefacts import PAIRS
from pipelines.recipe import read_recipe
from pipelines.run import Run
from tests.pipelines.conftest import Demo


def test_they_are_the_differences_of_the_gathered_features(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.folder)
    run = Run(read_recipe(demo.folder / "demo.toml"))
    store, pairs = run.store, run.table(PAIRS)
    keys, (chosen, rejected) = unique_keys(pairs["chosen_key"], pairs["rejected_key"])
    some = np.random.default_rng(0).integers(len(chosen), size=150)  # some pairs come twice
    features = store.gather(keys).reshape(len(keys), -1)
    got = feature_differences(store, keys, chosen[some], rejected[some])
    np.testing.assert_allclose(got, features[chosen[some]] - features[rejected[some]], atol=1e-6)
