"""The plain head of a store's pairs: the level of its scores, and weights."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from heads.pairs import decided
from heads.pairs.decided import DecidedPairs, layer_choice
from heads.pairs.preference import fit_preference, second_moment_of_sums
from tests.cache.rows import HIDDEN
from tests.heads.pairs.test_directions import Matrix, some_pairs, stored

COEFFICIENT = 0.01
C = 0.5


def sums(features: Matrix, pairs: DecidedPairs) -> NDArray[np.float64]:
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat[pairs.chosen] + flat[pairs.rejected]


def table_of(pairs: DecidedPairs, weight: NDArray[np.float64]) -> pl.DataFrame:
    """The pairs as training pairs and, once more, as those to select by."""
    chosen, rejected = ([pairs.keys[row].tobytes() for row in side] for side in (pairs.chosen, pairs.rejected))
    n = len(pairs)
    return pl.DataFrame(
        {
            "split": ["train"] * n + ["validation"] * n,
            "tied": [False] * 2 * n,
            "weight": [*weight, *np.ones(n)],
            "chosen_key": chosen * 2,
            "rejected_key": rejected * 2,
        }
    )


@pytest.fixture
def uneven() -> NDArray[np.float64]:
    """Weights of the 150 pairs of `some_pairs`."""
    return np.random.default_rng(7).integers(1, 4, 150) / 2


def test_the_second_moment_is_that_of_the_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uneven: NDArray[np.float64]
) -> None:
    features, pairs = some_pairs(0, layers=2)
    store = stored(tmp_path, features)
    monkeypatch.setattr(decided, "BLOCK_BYTES", 7 * 4 * 2 * HIDDEN)
    weighted = DecidedPairs(pairs.keys, pairs.chosen, pairs.rejected, uneven)
    rows = sums(features, pairs)
    expected = np.einsum("n,nc,nd->cd", uneven, rows, rows) / uneven.sum()
    np.testing.assert_allclose(
        second_moment_of_sums(store, weighted, layer_choice(store, None)), expected, rtol=1e-5, atol=1e-4
    )
    second = slice(HIDDEN, None)
    np.testing.assert_allclose(
        second_moment_of_sums(store, weighted, layer_choice(store, 1)), expected[second, second], rtol=1e-5, atol=1e-4
    )


def test_the_head_minimises_the_loss_with_centred_rewards(tmp_path: Path, uneven: NDArray[np.float64]) -> None:
    features, pairs = some_pairs(1)
    features += np.float32(2.0)  # scores have a level
    flat = features.reshape(len(features), -1).astype(np.float64)
    chosen, rejected = flat[pairs.chosen], flat[pairs.rejected]
    scale = np.sqrt(uneven @ np.square(chosen - rejected).sum(axis=-1) / (uneven.sum() * HIDDEN))

    def loss(w: NDArray[np.float64]) -> float:
        good, bad = chosen @ w, rejected @ w
        each = np.logaddexp(0.0, bad - good) + COEFFICIENT * np.square(good + bad)
        return float(0.5 * scale**2 * w @ w + C * uneven @ each)

    store = stored(tmp_path, features)
    head = fit_preference(store, table_of(pairs, uneven), (C,), center_rewards_coefficient=COEFFICIENT)
    best = minimize(loss, np.zeros(HIDDEN), method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(head.coef_, best.x, atol=2e-3 * np.abs(best.x).max())
    plain = fit_preference(store, table_of(pairs, uneven), (C,))
    level, before = (np.sqrt(np.mean(np.square(sums(features, pairs) @ each.coef_))) for each in (head, plain))
    assert level < 0.8 * before


def test_a_coefficient_of_0_and_weights_of_1_are_the_plain_fit_to_the_bit(tmp_path: Path) -> None:
    features, pairs = some_pairs(2)
    store = stored(tmp_path, features)
    table = table_of(pairs, np.ones(len(pairs)))
    head = fit_preference(store, table, (C,), center_rewards_coefficient=0.0)
    differences = DecidedPairs.of(table, "train").differences(store)
    assert head.coef_.tobytes() == type(head)(C).fit(differences).coef_.tobytes()  # type: ignore[call-arg]
