"""One set of weights for all prompts: the best ones, the decorrelated ones, the best single objective."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from gating.logistic_weights import PENALTY, logistic_weights
from gating.rules import RULES
from gating.rules.fixed_weights import decorrelated_weights
from gating.rules.rule import PairRewards


def preferences(seed: int, n: int, weights: list[float]) -> np.ndarray:
    """Differences of rewards of pairs whose choice was drawn by Bradley-Terry with these weights."""
    rng = np.random.default_rng(seed)
    difference = rng.standard_normal((n, len(weights))) * np.linspace(0.1, 2.0, len(weights))
    right = rng.random(n) < expit(difference @ np.asarray(weights))
    return np.where(right[:, None], difference, -difference)


def pairs_of(difference: np.ndarray) -> PairRewards:
    n = len(difference)
    return PairRewards(difference.astype(np.float32), np.zeros(n, dtype=np.int64), 1, np.ones(n))


@pytest.mark.parametrize("seed", range(4))
def test_signed_weights_are_scikit_learns_logistic_regression(seed: int) -> None:
    difference = preferences(seed, 500, [8.0, -1.0, 0.5, 0.0])
    spread = np.sqrt(np.square(difference).mean(axis=0))
    signs = np.where(np.arange(500) % 2 == 0, 1.0, -1.0)  # both classes; the likelihood is the same
    model = LogisticRegression(C=1 / PENALTY, fit_intercept=False, tol=1e-10, max_iter=1000)
    model.fit(difference / spread * signs[:, None], signs)
    found = logistic_weights(difference, np.ones(500), signed=True)
    np.testing.assert_allclose(found, model.coef_[0] / spread, rtol=1e-3, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_convex_weights_are_the_minimum_over_the_non_negative_ones(seed: int) -> None:
    difference = preferences(seed, 300, [4.0, -2.0, 1.0])
    found = logistic_weights(difference, np.ones(300), signed=False)
    assert (found >= 0).all()
    spread = np.sqrt(np.square(difference).mean(axis=0))
    scaled, weights = difference / spread, found * spread
    gradient = PENALTY * weights - scaled.T @ expit(-scaled @ weights)
    # Karush, Kuhn and Tucker: no slope where a weight is above 0, and upward where it is held at 0.
    assert (np.abs(gradient[weights > 0]) < 0.05).all()
    assert (gradient[weights == 0] > -0.05).all()


def test_planted_weights_are_found_again() -> None:
    planted = np.array([10.0, 3.0, 0.0, 0.5])
    found = logistic_weights(preferences(0, 40_000, list(planted)), np.ones(40_000), signed=False)
    np.testing.assert_allclose(found, planted, atol=0.5)


def test_a_pair_of_weight_two_is_two_pairs() -> None:
    difference = preferences(1, 60, [2.0, 1.0])
    twice = np.concatenate([difference, difference[:20]])
    weight = np.where(np.arange(60) < 20, 2.0, 1.0)
    # The spread that the penalty is measured in is the pairs' own, so the two agree but for the penalty's share.
    np.testing.assert_allclose(
        logistic_weights(difference, weight, signed=True),
        logistic_weights(twice, np.ones(80), signed=True),
        rtol=0.05,
        atol=0.05,
    )


def test_with_next_to_no_pairs_weights_stay_at_their_start() -> None:
    start = np.array([5.0, 1.0])
    found = logistic_weights(preferences(2, 1, [1.0, 1.0]), np.full(1, 1e-9), signed=True, start=start)
    np.testing.assert_allclose(found, start, atol=1e-6)


def test_separable_pairs_have_finite_weights() -> None:
    assert np.isfinite(logistic_weights(np.abs(preferences(3, 50, [1.0, 1.0])), np.ones(50), signed=True)).all()


def test_decorrelated_weights_by_hand() -> None:
    # Two objectives with correlation c: C^(-1/2) 1 = 1 / sqrt(1 + c) for both.
    rng = np.random.default_rng(0)
    both = rng.standard_normal((200_000, 2)) @ np.linalg.cholesky(np.array([[1.0, 0.6], [0.6, 1.0]])).T
    np.testing.assert_allclose(decorrelated_weights(both), 1 / np.sqrt(1.6), rtol=0.01)


def test_objectives_that_say_the_same_share_one_vote() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((2, 5000))
    weights = decorrelated_weights(np.stack([one, one, one, other], axis=-1))
    assert weights[:3].sum() < 2 * weights[3]
    np.testing.assert_allclose(weights[0], weights[1])


def test_an_objective_that_never_differs_gets_no_weight() -> None:
    difference = np.random.default_rng(2).standard_normal((100, 3))
    difference[:, 1] = 0.0
    weights = decorrelated_weights(difference)
    assert weights[1] == 0.0
    assert np.isfinite(weights).all()


def test_decorrelated_weights_do_not_look_at_which_response_is_preferred() -> None:
    difference = preferences(4, 300, [1.0, 0.2])
    signs = np.random.default_rng(0).choice([-1.0, 1.0], 300)[:, None]
    np.testing.assert_allclose(decorrelated_weights(difference), decorrelated_weights(difference * signs))


def test_the_best_single_objective_is_the_one_that_judges_most_training_pairs_right() -> None:
    difference = preferences(5, 2000, [0.1, 9.0, 0.0])
    assert RULES["best_objective"].fit(pairs_of(difference))["weight"].tolist() == [0.0, 1.0, 0.0]
