"""The quantile head against scikit-learn's, and on planted noise."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import QuantileRegressor, Ridge

from heads.kinds.principal import PrincipalDirections, RidgeStart
from heads.kinds.quantile import QuantileHead, fit_quantiles, pinball

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def planted(seed: int, rows: int, largest: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features off the origin, and ratings whose noise grows with the first feature."""
    rng = np.random.default_rng(seed)
    scales = np.array([3.0, 1.0, 1.0, 0.5, 0.2]) * largest
    features = rng.standard_normal((rows, 5)) * scales + 2.0
    latent = (features - 2.0) / largest @ np.array([0.3, 1.0, 0.0, 1.0, 2.0])
    return features, latent + (0.5 + 0.4 * np.abs(features[:, 0] - 2.0) / largest) * rng.standard_normal(rows)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_without_penalty_it_is_the_linear_programme_of_scikit_learn(dtype: type) -> None:
    features, ratings = planted(0, 1500)
    features = features.astype(dtype)
    head = QuantileHead(LEVELS, alpha=1e-6, ridge_alpha=1e-6, bandwidth=0.02, max_iter=2000).fit(features, ratings)
    predicted = features.astype(np.float64) @ head.coef_.T + head.intercept_
    for number, level in enumerate(LEVELS):
        exact = QuantileRegressor(quantile=level, alpha=0.0).fit(features.astype(np.float64), ratings)
        theirs = exact.predict(features.astype(np.float64))
        assert np.sqrt(np.mean((predicted[:, number] - theirs) ** 2)) < 0.06 * np.std(ratings)
        own, best = (pinball(each[:, None], ratings, [level]) for each in (predicted[:, number], theirs))
        assert best - 1e-12 <= own < best * 1.002


def test_the_default_smoothing_costs_less_than_a_hundredth_of_the_loss() -> None:
    features, ratings = planted(1, 2000)
    head = QuantileHead(LEVELS, alpha=1e-6, ridge_alpha=1e-6).fit(features, ratings)
    predicted = features @ head.coef_.T + head.intercept_
    exact = np.column_stack(
        [QuantileRegressor(quantile=level, alpha=0.0).fit(features, ratings).predict(features) for level in LEVELS]
    )
    assert pinball(predicted, ratings, LEVELS) < 1.01 * pinball(exact, ratings, LEVELS)


def test_the_search_ends_where_the_smoothed_loss_is_flat() -> None:
    features, ratings = planted(2, 400)
    basis = PrincipalDirections.of(features, 5)
    coordinates = basis.coordinates(features)
    (start,) = RidgeStart.fit(coordinates, ratings, basis, (1.0,))
    penalty = basis.penalty(3.0)
    found = fit_quantiles(coordinates, ratings, [0.3], penalty, start, 0.5)

    def loss(variables: NDArray[np.float64]) -> float:
        """The smoothed loss written out: the mean of |residual - bandwidth v| over v in (-1, 1)."""
        slopes, constant = variables[:5], variables[5]
        left = (ratings - coordinates.astype(np.float64) @ slopes - constant) / start.deviation  # (n,)
        shifts = 0.5 * (np.arange(-0.999, 1.0, 0.002))  # (1000,)
        values = left[:, None] - shifts
        smooth = np.maximum(0.3 * values, -0.7 * values).mean(axis=-1)
        departure = (slopes - start.slopes) / start.deviation
        return float(smooth.sum() + 0.5 * (penalty * departure**2).sum())

    best = np.append(found.slopes[0], found.intercepts[0])
    slope = approx_fprime(best, loss, 1e-5)
    away = approx_fprime(best + 0.1, loss, 1e-5)
    assert np.abs(slope).max() < 0.02 * np.abs(away).max()


def test_with_an_infinite_penalty_quantiles_are_parallel_to_the_ridge() -> None:
    features, ratings = planted(3, 600)
    head = QuantileHead(LEVELS, alpha=np.inf, ridge_alpha=10.0).fit(features, ratings)
    ridge = Ridge(10.0).fit(features, ratings)
    np.testing.assert_allclose(head.coef_, np.tile(ridge.coef_, (5, 1)), atol=1e-3)
    residuals = ratings - ridge.predict(features)
    np.testing.assert_allclose(head.intercept_ - ridge.intercept_, np.quantile(residuals, LEVELS), atol=5e-3)
    near = QuantileHead(LEVELS, alpha=1e12, ridge_alpha=10.0).fit(features, ratings)
    np.testing.assert_allclose(near.coef_, head.coef_, atol=1e-3)


@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_new_rows_lie_below_each_quantile_as_often_as_it_says(largest: float) -> None:
    features, ratings = planted(4, 6000, largest)
    squares = np.column_stack([features, np.abs(features[:, :1] - 2.0)])
    head = QuantileHead(LEVELS).fit(squares[:3000], ratings[:3000])
    predicted = head.predict(squares[3000:])
    below = (ratings[3000:, None] <= predicted).mean(axis=0)
    np.testing.assert_allclose(below, LEVELS, atol=0.03)
    assert (np.diff(predicted, axis=-1) >= 0).all()
    spread = predicted[:, -1] - predicted[:, 0]
    noise = 0.5 + 0.4 * np.abs(features[3000:, 0] - 2.0) / largest
    assert np.corrcoef(spread, noise)[0, 1] > 0.95


def test_fewer_directions_keep_the_large_ones() -> None:
    features, ratings = planted(5, 800)
    narrow = QuantileHead(LEVELS, directions=2).fit(features, ratings)
    assert np.linalg.matrix_rank(narrow.coef_, tol=1e-4) <= 2
    assert abs(narrow.coef_[2] @ np.eye(5)[0]) > 0.1


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        QuantileHead().fit(np.eye(3), [np.nan] * 3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        QuantileHead().fit([[0.0], [1.0]], [0.0, 1.0, 1.0])
    with pytest.raises(NotFittedError):
        clone(QuantileHead()).predict([[0.0]])
