"""Directions found in pairs: against an independent SVD, and what must not depend on units, labels or order."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD

from cache import FeatureStore, UserError
from heads.pairs import decided
from heads.pairs.decided import DecidedPairs, layer_choice
from heads.pairs.directions import Directions, find_directions
from heads.pairs.preference import fit_preference
from tests.cache.rows import HIDDEN, fingerprint, some_keys

Matrix = NDArray[np.float32]


def stored(root: Path, features: Matrix) -> FeatureStore:
    """Responses with these features (m, layers, d), in two shards."""
    layers = tuple(range(-1, -1 - features.shape[1], -1))
    store = FeatureStore.create(root, fingerprint("float32", layers), features.shape[2])
    half = len(features) // 2
    with store.writing():
        for name, rows in (("one", slice(0, half)), ("two", slice(half, len(features)))):
            keys = some_keys(rows.start, rows.stop)
            store.seal(name, keys, np.ones(len(keys), dtype=np.int32), features[rows])
    store.refresh()
    return store


def paired(chosen: NDArray[np.int64], rejected: NDArray[np.int64], responses: int) -> DecidedPairs:
    return DecidedPairs(some_keys(0, responses), chosen, rejected, np.ones(len(chosen)))


def some_pairs(seed: int, responses: int = 80, layers: int = 1, hidden: int = HIDDEN) -> tuple[Matrix, DecidedPairs]:
    """Correlated features with columns of unlike size, and pairs that share responses and lean one way."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((responses, layers * hidden)) @ rng.standard_normal((layers * hidden,) * 2)
    mixed *= rng.uniform(0.2, 5.0, layers * hidden)
    chosen = rng.integers(responses, size=150)
    rejected = (chosen + rng.integers(1, responses, size=150)) % responses
    better = mixed[:, 0] + mixed[:, 3]
    wrong = (better[chosen] < better[rejected]) & (rng.random(150) < 0.7)
    chosen, rejected = np.where(wrong, rejected, chosen), np.where(wrong, chosen, rejected)
    features = mixed.astype(np.float32).reshape(responses, layers, hidden)
    return features, paired(chosen, rejected, responses)


def found(features: Matrix, pairs: DecidedPairs, count: int = 3, layer: int | None = None) -> Directions:
    with tempfile.TemporaryDirectory() as root:
        store = stored(Path(root), features)
        return find_directions(store, pairs, count, layer_choice(store, layer))


def differences(features: Matrix, pairs: DecidedPairs) -> NDArray[np.float64]:
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat[pairs.chosen] - flat[pairs.rejected]


def test_they_are_the_right_singular_vectors_of_the_differences() -> None:
    features, pairs = some_pairs(0)
    rows = differences(features, pairs)
    _, singular, vectors = np.linalg.svd(rows, full_matrices=False)
    got = found(features, pairs, HIDDEN)
    units = got.weight / np.linalg.norm(got.weight, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.abs((units * vectors).sum(axis=-1)), 1.0, atol=1e-6)
    np.testing.assert_allclose(got.variance, singular**2 / len(rows), rtol=1e-6)
    np.testing.assert_allclose(got.ratio, singular**2 / (singular**2).sum(), rtol=1e-6)


def test_they_agree_with_scikit_learns_truncated_svd() -> None:
    features, pairs = some_pairs(1)
    svd = TruncatedSVD(3, algorithm="arpack", random_state=0).fit(differences(features, pairs))
    got = found(features, pairs, 3)
    np.testing.assert_allclose(got.variance, svd.singular_values_**2 / len(pairs), rtol=1e-6)
    units = got.weight * np.sqrt(got.variance)[:, None]
    np.testing.assert_allclose(np.abs((units * svd.components_).sum(axis=-1)), 1.0, atol=1e-6)


@given(seed=st.integers(0, 2**16), scale=st.sampled_from([0.01, 0.5, 64.0]))
@settings(max_examples=8)
def test_each_has_unit_mean_square_whatever_the_features_unit_and_the_chosen_side_leads(
    seed: int, scale: float
) -> None:
    features, pairs = some_pairs(seed)
    got = found(features, pairs)
    rewards = differences(features, pairs) @ got.weight.T
    np.testing.assert_allclose(np.square(rewards).mean(axis=0), 1.0, rtol=1e-5)
    assert (rewards.mean(axis=0) >= 0).all()
    scaled = np.float32(scale) * features
    np.testing.assert_allclose(
        differences(scaled, pairs) @ found(scaled, pairs).weight.T, rewards, rtol=1e-3, atol=1e-4
    )


@given(seed=st.integers(0, 2**16))
@settings(max_examples=8)
def test_which_side_was_chosen_decides_the_sign_alone_and_the_order_of_pairs_nothing(seed: int) -> None:
    features, pairs = some_pairs(seed)
    rng = np.random.default_rng(seed)
    swapped, order = rng.random(len(pairs)) < 0.5, rng.permutation(len(pairs))
    chosen = np.where(swapped, pairs.rejected, pairs.chosen)[order]
    rejected = np.where(swapped, pairs.chosen, pairs.rejected)[order]
    one, other = found(features, pairs), found(features, paired(chosen, rejected, len(features)))
    np.testing.assert_allclose(np.abs(other.weight), np.abs(one.weight), rtol=1e-4, atol=1e-5)
    every = found(features, paired(pairs.rejected, pairs.chosen, len(features)))
    np.testing.assert_allclose(every.weight, -one.weight, rtol=1e-4, atol=1e-5)


def test_blocks_and_shards_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, pairs = some_pairs(2)
    whole = found(features, pairs)
    monkeypatch.setattr(decided, "BLOCK_BYTES", 7 * 4 * HIDDEN)
    again, once_more = found(features, pairs), found(features, pairs)
    np.testing.assert_allclose(again.weight, whole.weight, rtol=1e-8, atol=1e-10)
    assert again.weight.tobytes() == once_more.weight.tobytes()


def test_one_layer_of_several_is_read_alone() -> None:
    features, pairs = some_pairs(3, layers=2)
    got = found(features, pairs, layer=1)
    np.testing.assert_allclose(got.weight, found(features[:, 1:], pairs).weight, rtol=1e-8)


@pytest.mark.parametrize("count", [HIDDEN, HIDDEN + 1])
def test_more_directions_than_the_pairs_differ_in_are_refused(count: int) -> None:
    features, pairs = some_pairs(4)
    features[:, :, 5:] = 1.0  # five columns differ
    with pytest.raises(UserError, match=rf"heads.directions is {count}, and the 150 decided training pairs differ in"):
        found(features, pairs, count)
    assert len(found(features, pairs, 5).variance) == 5


def test_fewer_pairs_than_columns_and_responses_that_are_all_alike_are_named() -> None:
    features, pairs = some_pairs(5)
    few = paired(pairs.chosen[:3], pairs.rejected[:3], len(features))
    assert len(found(features, few, 3).variance) == 3
    with pytest.raises(UserError, match="differ in 3 directions: ask for fewer, or add pairs"):
        found(features, few, 4)
    with pytest.raises(UserError, match="differ in 0 directions"):
        found(np.ones_like(features), pairs, 1)


def test_ties_and_the_other_split_are_not_among_the_decided_pairs() -> None:
    keys = [bytes([number] * 16) for number in range(4)]
    table = pl.DataFrame(
        {
            "split": ["train", "train", "validation"],
            "tied": [False, True, False],
            "weight": [1.0, 1.0, 1.0],
            "chosen_key": keys[:3],
            "rejected_key": keys[1:],
        }
    )
    pairs = DecidedPairs.of(table, "train")
    assert (len(pairs), len(pairs.keys)) == (1, 2)
    assert pairs.keys[pairs.chosen[0]].tobytes() == keys[0]


def test_the_bradley_terry_head_reads_the_layer_it_is_asked_to(tmp_path: Path) -> None:
    features, pairs = some_pairs(6, layers=2)
    store = stored(tmp_path, features)
    table = pl.DataFrame(
        {
            "split": ["train"] * 100 + ["validation"] * 50,
            "tied": [False] * 150,
            "weight": [1.0] * 150,
            "chosen_key": [pairs.keys[row].tobytes() for row in pairs.chosen],
            "rejected_key": [pairs.keys[row].tobytes() for row in pairs.rejected],
        }
    )
    head = fit_preference(store, table, (0.1, 1.0), layer=1)
    alone = stored(tmp_path / "alone", features[:, 1:])
    expected = fit_preference(alone, table, (0.1, 1.0)).coef_
    np.testing.assert_allclose(head.coef_, expected, rtol=1e-3)  # the solver stops near the optimum
    assert fit_preference(store, table, (1.0,)).coef_.shape == (2 * HIDDEN,)
