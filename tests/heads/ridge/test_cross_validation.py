"""Generalised cross-validation against the formula by hand."""

import numpy as np
import pytest

from heads.ridge.cross_validation import generalised_errors
from heads.ridge.statistics import GramStatistics
from heads.ridge.system import RidgeSystem

ALPHAS = np.array([0.01, 1.0, 30.0])


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
