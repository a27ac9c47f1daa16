"""Masked ridge: scikit-learn's Ridge on the rows that rate each objective."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import Ridge

import heads.ridge.path
import heads.ridge.system
from heads.ridge.estimator import MaskedRidge, ridge_paths
from heads.ridge.plain import ridge_path
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import Scope
from heads.settings import HeadSettings


def rows_with_gaps(
    seed: int, n: int, d: int, k: int, rated_share: float = 0.6
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal((n, k))
    return rng.standard_normal((n, d)), np.where(rng.random((n, k)) < rated_share, targets, np.nan)


def by_scikit_learn(features: NDArray[np.floating], target: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    rated = ~np.isnan(target)
    weights: NDArray[np.float64] = Ridge(alpha=alpha, fit_intercept=False).fit(features[rated], target[rated]).coef_
    return weights


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 1.0, 37.5, 1e4])
def test_each_head_equals_scikit_learns_ridge_on_its_rated_rows(alpha: float) -> None:
    features, targets = rows_with_gaps(0, n=80, d=12, k=4)
    heads = MaskedRidge(alpha).fit(features, targets).coef_
    assert heads.shape == (4, 12)
    for objective in range(4):
        expected = by_scikit_learn(features, targets[:, objective], alpha)
        np.testing.assert_allclose(heads[objective], expected, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 40),
    d=st.integers(1, 10),
    k=st.integers(1, 5),
    rated_share=st.floats(0, 1),
    alpha=st.sampled_from([0.01, 1.0, 100.0]),
)
def test_it_equals_scikit_learn_whatever_is_missing(
    seed: int, n: int, d: int, k: int, rated_share: float, alpha: float
) -> None:
    features, targets = rows_with_gaps(seed, n, d, k, rated_share)
    heads = MaskedRidge(alpha).fit(features, targets).coef_
    for objective in range(k):
        if np.isnan(targets[:, objective]).all():
            assert np.isnan(heads[objective]).all()
        else:
            expected = by_scikit_learn(features, targets[:, objective], alpha)
            np.testing.assert_allclose(heads[objective], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("eigen_width", [heads.ridge.path.EIGEN_WIDTH, 10])
@pytest.mark.parametrize("n", [25, 400])
def test_the_fast_numerics_give_what_the_plain_version_does(
    n: int, eigen_width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads.ridge.path, "EIGEN_WIDTH", eigen_width)
    monkeypatch.setattr(heads.ridge.system, "EIGEN_WIDTH", eigen_width)
    features, targets = rows_with_gaps(8, n=n, d=40, k=3)
    alphas = np.array([0.1, 1.0, 100.0])
    plain = ridge_path(features, targets, alphas)
    for number, alpha in enumerate(alphas):
        fast = MaskedRidge(alpha).fit(features, targets).coef_
        np.testing.assert_allclose(fast, plain[number], rtol=1e-6, atol=1e-9)


def test_each_target_may_have_its_own_penalty_in_any_order() -> None:
    features, targets = rows_with_gaps(1, n=60, d=6, k=4)
    alphas = [100.0, 0.5, 100.0, 3.0]
    heads = MaskedRidge(alphas).fit(features, targets).coef_
    for objective, alpha in enumerate(alphas):
        expected = by_scikit_learn(features, targets[:, objective], alpha)
        np.testing.assert_allclose(heads[objective], expected, rtol=1e-6, atol=1e-9)


def test_a_number_of_penalties_other_than_the_targets_is_refused() -> None:
    features, targets = rows_with_gaps(1, n=20, d=3, k=4)
    with pytest.raises(ValueError, match="shape"):
        MaskedRidge([1.0, 2.0]).fit(features, targets)


def test_float32_features_give_the_same_heads_to_four_figures() -> None:
    features, targets = rows_with_gaps(2, n=500, d=16, k=2)
    exact = MaskedRidge(1.0).fit(features, targets).coef_
    single = MaskedRidge(1.0).fit(features.astype(np.float32), targets).coef_
    np.testing.assert_allclose(single, exact, rtol=1e-4, atol=1e-6)


def test_one_feature_by_hand() -> None:
    # w = sum(x y) / (sum(x²) + alpha) over the rated rows: (1·2 + 3·4) / (1 + 9 + 4) = 1
    heads = MaskedRidge(4.0).fit([[1.0], [2.0], [3.0]], [[2.0], [np.nan], [4.0]])
    assert heads.coef_[0, 0] == pytest.approx(1.0, rel=1e-15)
    assert heads.predict([[5.0]])[0, 0] == pytest.approx(5.0, rel=1e-15)


def test_there_is_no_intercept() -> None:
    heads = MaskedRidge(1.0).fit([[1.0], [-1.0]], [[7.0], [7.0]])
    assert heads.coef_[0, 0] == 0.0
    assert heads.predict([[0.0]])[0, 0] == 0.0


def test_planted_weights_are_recovered() -> None:
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((3, 10))
    features = rng.standard_normal((2000, 10))
    targets = features @ weights.T + 0.1 * rng.standard_normal((2000, 3))
    targets[rng.random(targets.shape) < 0.5] = np.nan
    heads = MaskedRidge(0.1).fit(features, targets)
    np.testing.assert_allclose(heads.coef_, weights, atol=0.02)
    np.testing.assert_allclose(heads.predict(features), features @ weights.T, atol=0.1)


def test_a_target_that_no_row_rates_has_nan_and_harms_no_other() -> None:
    features, targets = rows_with_gaps(4, n=30, d=3, k=3, rated_share=1.0)
    targets[:, 1] = np.nan
    heads = MaskedRidge(1.0).fit(features, targets)
    assert np.isnan(heads.coef_).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(heads.predict(features)).all(axis=0).tolist() == [False, True, False]
    alone = MaskedRidge(1.0).fit(features, targets[:, [0, 2]])
    np.testing.assert_allclose(heads.coef_[[0, 2]], alone.coef_, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        MaskedRidge().fit([[1.0, bad], [0.0, 1.0]], [[1.0], [1.0]])


def test_an_infinite_target_is_refused() -> None:
    with pytest.raises(ValueError, match="infinity"):
        MaskedRidge().fit([[1.0], [0.0]], [[np.inf], [1.0]])


def test_features_and_targets_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MaskedRidge().fit(np.ones((3, 2)), np.ones((2, 1)))


def test_it_follows_scikit_learns_conventions() -> None:
    estimator = MaskedRidge(alpha=2.5)
    assert clone(estimator).get_params() == {"alpha": 2.5, "fit_intercept": False}
    assert not hasattr(estimator, "coef_")
    assert estimator.fit([[1.0, 0.0]], [[1.0]]) is estimator
    assert estimator.n_features_in_ == 2


def test_a_path_holds_one_solution_for_each_penalty() -> None:
    features, targets = rows_with_gaps(5, n=50, d=5, k=3)
    statistics = GramStatistics(("a", "b", "c"), 5)
    statistics.add("one", "train", features[:30], targets[:30])
    statistics.add("two", "train", features[30:], targets[30:])
    alphas = [10.0, 0.1]
    paths = ridge_paths(statistics, Scope(("train",)), alphas)
    assert paths.shape == (2, 3, 5)
    for number, alpha in enumerate(alphas):
        np.testing.assert_allclose(paths[number], MaskedRidge(alpha).fit(features, targets).coef_, rtol=1e-9)


def test_only_the_splits_asked_for_are_learned_from() -> None:
    features, targets = rows_with_gaps(6, n=50, d=5, k=2, rated_share=1.0)
    statistics = GramStatistics(("a", "b"), 5)
    statistics.add("one", "train", features[:30], targets[:30])
    statistics.add("one", "validation", features[30:], targets[30:])
    train = MaskedRidge(1.0).fit_statistics(statistics, Scope(("train",))).coef_
    both = MaskedRidge(1.0).fit_statistics(statistics, Scope(("train", "validation"))).coef_
    np.testing.assert_allclose(train, MaskedRidge(1.0).fit(features[:30], targets[:30]).coef_, rtol=1e-9)
    np.testing.assert_allclose(both, MaskedRidge(1.0).fit(features, targets).coef_, rtol=1e-9)


def test_the_smallest_default_penalty_works_on_fewer_rows_than_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 1024))
    features[:, :20] = 50 * (1 + 0.3 * rng.standard_normal((300, 20)))  # a backbone's outlier channels
    targets = rng.random((300, 1))
    assert np.isfinite(MaskedRidge(min(HeadSettings().alphas)).fit(features.astype(np.float32), targets).coef_).all()
