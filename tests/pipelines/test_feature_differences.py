"""Differences of features as pairs need them, read in the store's order."""

import numpy as np
import pytest
from pipelines.artefacts import open_run

from cache.keys import unique_keys
from extract.tables import read_table
from heads.stored import feature_differences
from pipelines.recipe import read_recipe
from tests.pipelines.conftest import Demo


def test_they_are_the_differences_of_the_gathered_features(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.folder)
    recipe = read_recipe(demo.folder / "demo.toml")
    _, store = open_run(recipe)
    pairs = read_table(recipe.folder / "tables", "pairs")
    keys, (chosen, rejected) = unique_keys(pairs["chosen_key"], pairs["rejected_key"])
    some = np.random.default_rng(0).integers(len(chosen), size=150)  # some pairs come twice
    features = store.gather(keys).reshape(len(keys), -1)
    got = feature_differences(store, keys, chosen[some], rejected[some])
    np.testing.assert_allclose(got, features[chosen[some]] - features[rejected[some]], atol=1e-6)
