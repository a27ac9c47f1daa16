"""Leave-one-out against leaving one out; its generalised form against the formula by hand."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from heads.ridge.cross_validation import generalised_errors, leave_one_out_errors
from heads.ridge.statistics import GramStatistics
from heads.ridge.system import RidgeSystem

ALPHAS = np.array([0.01, 1.0, 30.0])


@pytest.mark.parametrize(("n", "d"), [(25, 6), (8, 20)])
def test_leave_one_out_is_what_leaving_one_out_gives(n: int, d: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, 2))
    y[::4, 1] = np.nan
    errors = leave_one_out_errors(x, y, ALPHAS)
    for column in range(2):
        rated = np.flatnonzero(~np.isnan(y[:, column]))
        for number, alpha in enumerate(ALPHAS):
            left_out = []
            for row in rated:
                others = rated[rated != row]
                model = Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(x[others], y[others, column])
                left_out.append(float(model.predict(x[[row]])[0] - y[row, column]))
            assert errors[number, column] == pytest.approx(np.mean(np.square(left_out)), rel=1e-8)


def test_the_best_penalty_is_that_of_scikit_learns_search() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 30))
    y = x @ rng.standard_normal(30) + 4 * rng.standard_normal(60)
    alphas = 10.0 ** np.arange(-2, 5)
    errors = leave_one_out_errors(x, y, alphas)
    search = RidgeCV(alphas, fit_intercept=False, store_cv_results=True).fit(x, y)
    np.testing.assert_allclose(errors, search.cv_results_.mean(axis=0), rtol=1e-8)
    assert alphas[errors.argmin()] == search.alpha_


def test_a_target_that_nobody_rates_has_nan() -> None:
    errors = leave_one_out_errors(np.ones((3, 1)), np.full((3, 1), np.nan), ALPHAS)
    assert np.isnan(errors).all()


@pytest.mark.parametrize(
    ("x", "y", "alphas", "message"),
    [
        ([[np.nan]], [1.0], [1.0], "finite matrix"),
        ([[1.0], [2.0]], [1.0], [1.0], "a row for every row"),
        ([[1.0]], [1.0], [0.0], "above 0"),
    ],
)
def test_bad_input_is_refused(x: list[list[float]], y: list[float], alphas: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        leave_one_out_errors(x, y, alphas)


@pytest.mark.parametrize(("n", "d"), [(50, 8), (12, 20)])
def test_the_generalised_error_is_the_formula_by_hand(n: int, d: int) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((n, d)), rng.standard_normal((n, 2))
    statistics = GramStatistics(("a", "b"), d)
    statistics.add("set", "train", x, y)
    subset = statistics.subset(0)
    system = RidgeSystem.of(subset, [0, 1])
    errors = generalised_errors(subset, system, system.path(ALPHAS), [0, 1], ALPHAS)
    for number, alpha in enumerate(ALPHAS):
        hat = x @ np.linalg.solve(x.T @ x + alpha * np.eye(d), x.T)  # (n, n)
        residual = y - hat @ y
        expected = np.mean(residual**2, axis=0) / (1 - np.trace(hat) / n) ** 2
        np.testing.assert_allclose(errors[number], expected, rtol=1e-8)
