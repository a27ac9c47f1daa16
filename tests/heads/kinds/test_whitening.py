"""The change of variables that makes a penalised loss about round."""

import numpy as np
import pytest
from numpy.typing import NDArray

from heads.kinds.whitening import ROWS_PER_FEATURE, Whitening


def hessian_over_u(rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Hessian of a quadratic loss over the weights and over u, for 8 features of very different sizes."""
    features = np.random.default_rng(0).standard_normal((rows, 8)) * np.logspace(0, -3, 8)
    whitening = Whitening(features, np.zeros(8), curvature=0.25, alpha=1e-3)
    hessian = 0.25 * features.T @ features + 1e-3 * np.eye(8)
    return hessian, np.stack([whitening.gradient(hessian @ whitening.weights(unit)) for unit in np.eye(8)])


def test_the_hessian_of_a_quadratic_becomes_the_identity() -> None:
    np.testing.assert_allclose(hessian_over_u(30)[1], np.eye(8), atol=0.02)


def test_of_many_rows_a_few_are_enough() -> None:
    before, after = hessian_over_u(8 * ROWS_PER_FEATURE * 50)
    assert np.linalg.cond(before) > 1e4
    assert np.linalg.cond(after) < 20


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_fewer_rows_than_features_and_a_tiny_penalty_still_factorise(dtype: type) -> None:
    features = np.random.default_rng(2).standard_normal((5, 40)).astype(dtype)
    weights = Whitening(features, features.mean(axis=0, dtype=np.float64), 1.0, 1e-12).weights(np.ones(40))
    assert np.isfinite(weights).all()
