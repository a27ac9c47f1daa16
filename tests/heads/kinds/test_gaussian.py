"""The Gaussian head against its likelihood written out, and on planted noise."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from heads.kinds.gaussian import FLOOR, GaussianHead


def planted(seed: int, rows: int, slope: float = 0.5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features off the origin, and ratings whose log-variance is linear in the first of them."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((rows, 4)) * [2.0, 1.0, 0.5, 0.2] + 1.5
    deviation = np.exp(slope * (features[:, 0] - 1.5))
    return features, features @ np.array([0.5, 1.0, -1.0, 2.0]) + deviation * rng.standard_normal(rows)


def by_hand(
    features: NDArray[np.float64], ratings: NDArray[np.float64], ridge_alpha: float, alpha: float, unit: float
) -> NDArray[np.float64]:
    """The penalised likelihood written out, and minimised without gradients of ours."""
    d = features.shape[1]

    def loss(parameters: NDArray[np.float64]) -> float:
        w, b, u, c = parameters[:d], parameters[d], parameters[d + 1 : -1], parameters[-1]
        variance = unit**2 * (FLOOR + np.exp(features @ u + c))
        likelihood = 0.5 * (np.log(variance) + (ratings - features @ w - b) ** 2 / variance).sum()
        return float(likelihood + 0.5 * ridge_alpha * w @ w / unit**2 + 0.5 * alpha * u @ u)

    return minimize(loss, np.zeros(2 * d + 2), method="BFGS", options={"gtol": 1e-5, "maxiter": 2000}).x


@pytest.mark.parametrize(("ridge_alpha", "alpha"), [(1e-6, 1e-6), (20.0, 5.0)])
def test_it_is_the_likelihood_written_out(ridge_alpha: float, alpha: float) -> None:
    features, ratings = planted(0, 500)
    head = GaussianHead(alpha, ridge_alpha, max_iter=1000).fit(features, ratings)
    expected = by_hand(features, ratings, ridge_alpha, alpha, head.unit_)
    np.testing.assert_allclose(head.coef_[0], expected[:4], atol=5e-3)
    np.testing.assert_allclose(head.coef_[1], expected[5:9], atol=5e-3)
    np.testing.assert_allclose(head.intercept_, expected[[4, 9]], atol=1e-2)


def test_planted_variances_are_found() -> None:
    features, ratings = planted(1, 20_000, slope=0.25)
    head = GaussianHead(1e-3, 1e-3).fit(features, ratings)
    np.testing.assert_allclose(head.coef_[1], [0.5, 0.0, 0.0, 0.0], atol=0.1)
    deviation = np.sqrt(head.predict_distribution(features[:500]).variance)
    np.testing.assert_allclose(deviation, np.exp(0.25 * (features[:500, 0] - 1.5)), rtol=0.1)


def test_with_an_infinite_penalty_it_is_the_ridge() -> None:
    features, ratings = planted(2, 600)
    head, ridge = GaussianHead(np.inf, 10.0).fit(features, ratings), Ridge(10.0).fit(features, ratings)
    np.testing.assert_allclose(head.predict(features), ridge.predict(features), atol=1e-3)
    noise = np.sqrt(np.mean((ratings - ridge.predict(features)) ** 2))
    np.testing.assert_allclose(np.sqrt(head.predict_distribution(features).variance), noise, rtol=5e-3)
    near = GaussianHead(1e12, 10.0).fit(features, ratings)
    np.testing.assert_allclose(near.predict(features), ridge.predict(features), atol=2e-3)


def test_rows_that_are_predicted_exactly_keep_the_floor() -> None:
    rng = np.random.default_rng(3)
    features = rng.standard_normal((800, 3))
    exact = features[:, 0] > 0
    ratings = features[:, 1] + np.where(exact, 0.0, rng.standard_normal(800))
    head = GaussianHead(1e-3, 1e-6).fit(np.column_stack([features, exact * 10.0]), ratings)
    deviation = np.sqrt(head.predict_distribution(np.column_stack([features, exact * 10.0])).variance)
    assert np.isfinite(head.coef_).all()
    assert deviation.min() > 0.9 * head.unit_ * np.sqrt(FLOOR)
    assert deviation[exact].max() < 0.2 < deviation[~exact].min()


def test_unrated_rows_count_for_nothing() -> None:
    features, ratings = planted(4, 600)
    masked = np.where(np.arange(600) % 3 == 0, np.nan, ratings)
    rated = ~np.isnan(masked)
    one, other = GaussianHead().fit(features, masked), GaussianHead().fit(features[rated], ratings[rated])
    assert one.coef_.tobytes() == other.coef_.tobytes()


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        GaussianHead().fit(np.eye(3), [np.nan] * 3)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        GaussianHead().fit([[0.0], [1.0]], [0.0, 1.0, 1.0])
    with pytest.raises(NotFittedError):
        clone(GaussianHead()).predict([[0.0]])
