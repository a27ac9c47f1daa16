"""The ordinal head: proportional odds over the rating levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from heads.kinds import ordinal
from heads.kinds.ordinal import OrdinalHead, level_probabilities, log_loss, nearest_levels, select_alpha

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


def planted(
    seed: int, n: int, d: int, largest: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Features off the origin, ratings drawn from proportional odds, and the direction behind them."""
    rng = np.random.default_rng(seed)
    scales = np.logspace(0, -np.log10(largest), d)
    features = rng.standard_normal((n, d)) * scales + 3.0
    direction = rng.standard_normal(d) / scales
    latent = (features - 3.0) @ direction + rng.logistic(size=n)
    return features, LEVELS[np.digitize(latent, [-4.0, -1.0, 0.0, 3.0])], direction


def by_hand(features: NDArray[np.float64], level: NDArray[np.int64], levels: int, alpha: float) -> NDArray[np.float64]:
    """The ordinal likelihood written out, and minimised without gradients of ours, in float64."""
    d = features.shape[1]

    def loss(parameters: NDArray[np.float64]) -> float:
        direction, thresholds = parameters[:d], np.sort(parameters[d:])
        edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
        score = features @ direction
        p = expit(edges[level + 1] - score) - expit(edges[level] - score)
        return -np.log(np.maximum(p, 1e-300)).sum() + alpha / 2 * direction @ direction

    begin = np.concatenate([np.zeros(d), np.arange(levels - 1) - (levels - 2) / 2])
    return minimize(loss, begin, method="BFGS", options={"gtol": 1e-4}).x


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_it_recovers_planted_odds(dtype: type, largest: float) -> None:
    features, ratings, direction = planted(0, 8000, 10, largest)
    head = OrdinalHead(1e-3).fit(features.astype(dtype), ratings)
    scale = np.logspace(0, -np.log10(largest), 10)
    tolerance = 0.2 if (dtype, largest) != (np.float16, 100.0) else 0.4  # float16 near 3 resolves 0.002
    np.testing.assert_allclose(head.coef_ * scale, direction * scale, atol=tolerance)
    np.testing.assert_allclose(head.thresholds_ - 3.0 * head.coef_.sum(), [-4.0, -1.0, 0.0, 3.0], atol=0.25)


@pytest.mark.parametrize("alpha", [1e-2, 1.0, 100.0])
@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_with_two_levels_it_is_logistic_regression(alpha: float, largest: float) -> None:
    features, ratings, _ = planted(1, 1500, 12, largest)
    safe = (ratings > 0.4).astype(np.float64)
    model = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000).fit(features, safe)
    head = OrdinalHead(alpha).fit(features, safe)
    np.testing.assert_allclose(head.coef_, model.coef_[0], atol=2e-3 * np.abs(model.coef_).max())
    np.testing.assert_allclose(head.predict(features), model.predict_proba(features)[:, 1], atol=1e-3)


def test_with_five_levels_it_is_the_likelihood_written_out() -> None:
    features, ratings, _ = planted(2, 250, 3)
    level = np.searchsorted(LEVELS, ratings)
    expected = by_hand(features - 3.0, level, 5, alpha=0.5)
    head = OrdinalHead(0.5).fit(features, ratings)
    np.testing.assert_allclose(head.coef_, expected[:3], atol=2e-3)
    np.testing.assert_allclose(head.thresholds_ - 3.0 * head.coef_.sum(), np.sort(expected[3:]), atol=5e-3)


def test_the_gradients_are_those_of_the_likelihood() -> None:
    rng = np.random.default_rng(3)
    scores, level, thresholds = rng.standard_normal(40) * 3, rng.integers(0, 4, 40), np.array([-1.0, 0.5, 2.0])
    _, by_score, by_threshold = ordinal._likelihood(scores, level, thresholds)
    numeric = approx_fprime(scores, lambda values: ordinal._likelihood(values, level, thresholds)[0], 1e-6)
    np.testing.assert_allclose(by_score, numeric, atol=1e-4)
    numeric = approx_fprime(thresholds, lambda values: ordinal._likelihood(scores, level, values)[0], 1e-6)
    np.testing.assert_allclose(by_threshold, numeric, atol=1e-4)


def test_scores_far_in_the_tails_keep_a_gradient() -> None:
    thresholds = np.array([-1.0, 1.0])
    _, by_score, _ = ordinal._likelihood(np.array([60.0, -60.0]), np.array([1, 1]), thresholds)
    np.testing.assert_allclose(by_score, [1.0, -1.0], rtol=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=6), st.lists(st.floats(-30, 30), min_size=1, max_size=9))
@settings(deadline=None)
def test_probabilities_are_a_distribution_and_the_mean_rises_with_the_score(
    scores: list[float], edges: list[float]
) -> None:
    thresholds = np.sort(edges)
    probabilities = level_probabilities(np.sort(scores), thresholds)
    assert probabilities.shape == (len(scores), len(edges) + 1)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0)
    assert (np.diff(probabilities @ np.arange(len(edges) + 1.0)) >= -1e-12).all()


def test_unrated_rows_count_for_nothing() -> None:
    features, ratings, _ = planted(4, 600, 6)
    masked = np.where(np.arange(600) % 3 == 0, np.nan, ratings)
    rated = ~np.isnan(masked)
    one, other = OrdinalHead().fit(features, masked), OrdinalHead().fit(features[rated], ratings[rated])
    assert one.coef_.tobytes() == other.coef_.tobytes()


def test_the_expected_rating_beats_the_mean_on_new_rows() -> None:
    features, ratings, _ = planted(5, 3000, 8)
    head = OrdinalHead().fit(features[:2000], ratings[:2000])
    predicted = head.predict(features[2000:])
    assert np.mean((predicted - ratings[2000:]) ** 2) < 0.4 * np.var(ratings[2000:])
    assert predicted.min() >= LEVELS[0]
    assert predicted.max() <= LEVELS[-1]


def test_levels_that_never_occur_are_left_out() -> None:
    features, ratings, _ = planted(6, 500, 4)
    there = ratings != 0.5
    head = OrdinalHead().fit(features[there], ratings[there])
    assert head.classes_.tolist() == [0.1, 0.3, 0.7, 0.9]
    assert head.predict_proba(features).shape == (500, 4)


def test_the_penalty_is_chosen_by_the_likelihood_of_validation_ratings() -> None:
    features, ratings, _ = planted(7, 900, 60)
    train, validation = (features[:150], ratings[:150]), (features[150:], ratings[150:])
    alphas = (1e-2, 1.0, 10.0, 1e5)
    head, loss = select_alpha(train, validation, alphas)
    losses = {alpha: log_loss(OrdinalHead(alpha).fit(*train), *validation) for alpha in alphas}
    assert losses[head.alpha] == loss == min(losses.values())
    assert head.alpha not in (1e-2, 1e5)


def test_a_target_goes_to_the_nearest_level() -> None:
    levels = nearest_levels(np.array([-1.0, 0.19, 0.21, np.nan, 0.66, 2.0]), LEVELS)
    np.testing.assert_array_equal(levels, [0.1, 0.1, 0.3, np.nan, 0.7, 0.9])


@pytest.mark.parametrize("ratings", [[1.0, 1.0, 1.0], [np.nan, np.nan, 2.0]])
def test_fewer_than_two_levels_are_refused(ratings: list[float]) -> None:
    with pytest.raises(ValueError, match="two levels at least"):
        OrdinalHead().fit(np.eye(3), ratings)


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        OrdinalHead().fit([[np.nan], [1.0]], [0.0, 1.0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        OrdinalHead().fit([[0.0], [1.0]], [0.0, 1.0, 1.0])
    with pytest.raises(NotFittedError):
        clone(OrdinalHead(2.0)).predict([[0.0]])
