"""The plain head of pairs that are read in passes: the head that holding their differences gives."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from heads.pairs import decided, preference
from heads.pairs.decided import DecidedPairs, layer_choice
from heads.pairs.preference import fit_preference
from heads.pairs.streamed import StreamedDifferences
from tests.cache.rows import HIDDEN
from tests.heads.pairs.test_directions import some_pairs, stored
from tests.heads.pairs.test_preference import table_of

C = (0.01, 0.1, 1.0, 10.0)


@pytest.mark.parametrize("weights", [np.ones(150), np.random.default_rng(7).integers(1, 4, 150) / 2])
@pytest.mark.parametrize("coefficient", [0.0, 0.01])
@pytest.mark.parametrize("layer", [None, 1])
def test_the_same_head(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    weights: NDArray[np.float64],
    coefficient: float,
    layer: int | None,
) -> None:
    features, pairs = some_pairs(0, layers=2)
    store, table = stored(tmp_path, features), table_of(pairs, weights)
    held = fit_preference(store, table, C, layer, coefficient)
    monkeypatch.setattr(preference, "HELD_BYTES", 0)
    monkeypatch.setattr(decided, "BLOCK_BYTES", 17 * 4 * 2 * HIDDEN)
    told: list[str] = []
    streamed = fit_preference(store, table, C, layer, coefficient, lambda what, *_: told.append(what))
    assert streamed.C == held.C
    np.testing.assert_allclose(streamed.coef_, held.coef_, atol=2e-3 * np.abs(held.coef_).max())
    assert told[-1].startswith("reading pairs, pass ")


def test_one_pass_gives_the_sums_at_all_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, pairs = some_pairs(1, layers=2)
    store = stored(tmp_path, features)
    monkeypatch.setattr(decided, "BLOCK_BYTES", 17 * 4 * 2 * HIDDEN)
    weighted = DecidedPairs(pairs.keys, pairs.chosen, pairs.rejected, np.random.default_rng(3).random(len(pairs)))
    flat = features.reshape(len(features), -1).astype(np.float64)
    differences = flat[pairs.chosen] - flat[pairs.rejected]
    streamed = StreamedDifferences(store, weighted, layer_choice(store, None))
    asked = np.random.default_rng(4).standard_normal((3, 2 * HIDDEN)) / 100
    for weights, (loss, pull) in zip(asked, streamed.sums(list(asked)), strict=True):
        margins = differences @ weights
        np.testing.assert_allclose(loss, weighted.weight @ np.log1p(np.exp(-margins)), rtol=1e-5)
        expected = (weighted.weight / (1 + np.exp(margins))) @ differences
        np.testing.assert_allclose(pull, expected, atol=1e-4 * np.abs(expected).max())
    size = streamed.size()
    squares = weighted.weight @ np.square(differences).sum(axis=-1)
    np.testing.assert_allclose(size.scale**2, squares / weighted.weight.sum() / (2 * HIDDEN), rtol=1e-6)
    right = [float(np.mean(differences @ weights > 0)) for weights in asked]
    assert streamed.accuracies(list(asked)) == pytest.approx(right)
