"""Standard errors of contributions: the verbosity that a penalty takes moves with the reward it is taken from."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gating.gate import Gate
from gating.measured import Measured
from gating.reward import RewardParts, ScoreUncertainty
from gating.settings import GateSettings
from heads.ridge.uncertainty import NOT_KNOWN, Uncertainty
from tests.gating.transforms import transform_of

NAMES = ("kind", "true", "long")
D = 6
FACTOR_OF = np.array([0, 0, 1])


def parts_of(seed: int, verbosity: str) -> RewardParts:
    """A random model of three objectives, the third with rows of its own."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3))
    uncertainty = Uncertainty(
        whitening=rng.standard_normal((2, D, D)).astype(np.float32),
        factor_of=FACTOR_OF,
        covariance=root @ root.T,
        quantiles=np.stack([np.linspace(0.0, 10.0, 101), np.full(101, NOT_KNOWN)]),
        thresholds=np.array([9.9, NOT_KNOWN]),
        quantile=0.99,
    )
    gate = Gate(D, 3, GateSettings(hidden_size=4, hidden_layers=1))
    transform = transform_of(rng.uniform(0, 2, 3), verbosity, NAMES)
    return RewardParts(NAMES, rng.standard_normal((3, D)).astype(np.float32), transform, gate.eval(), uncertainty)


def known_of(parts: RewardParts, seed: int) -> tuple[ScoreUncertainty, NDArray[Any], NDArray[Any]]:
    """The uncertainty of a random response, the covariance (k, k) of its rewards, and the gate's weights (k,)."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((1, D)).astype(np.float32)
    weights = rng.uniform(0, 1, 3).astype(np.float32)
    leverages = parts.leverages(features)
    assert leverages is not None
    assert parts.uncertainty is not None
    scored = parts.score(parts.rewards(features)[0], weights, 3, Measured(np.array([40])), leverages[0])
    assert scored.uncertainty is not None
    roots = np.sqrt(leverages[0, FACTOR_OF])
    return scored.uncertainty, parts.uncertainty.covariance * np.outer(roots, roots), weights.astype(np.float64)


@pytest.mark.parametrize("verbosity", ["long", "response_tokens", "none"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_they_are_those_of_the_rewards_weighed_by_hand(verbosity: str, seed: int) -> None:
    parts = parts_of(seed, verbosity)
    known, covariance, weights = known_of(parts, seed + 1)
    lambdas = parts.transform.lambdas()[0] if verbosity == "long" else np.zeros(3)
    for i, std in enumerate(known.contribution_std):
        variance = covariance[i, i] - 2 * lambdas[i] * covariance[i, 2] + lambdas[i] ** 2 * covariance[2, 2]
        assert std**2 == pytest.approx(weights[i] ** 2 * max(variance, 0.0), rel=1e-9, abs=1e-12)


def test_drawn_rewards_spread_as_much() -> None:
    parts = parts_of(0, "long")
    known, covariance, weights = known_of(parts, 1)
    rewards = np.random.default_rng(2).multivariate_normal(np.zeros(3), covariance, 20_000)  # (n, k)
    contributions = weights * parts.transform.apply(rewards, Measured(np.full(len(rewards), 40)))  # (n, k)
    np.testing.assert_allclose(contributions.std(axis=0), known.contribution_std, rtol=0.02)
    assert contributions.sum(axis=-1).std() == pytest.approx(known.score_std, rel=0.02)


def test_places_that_too_few_rows_tell_are_none() -> None:
    known, _, _ = known_of(parts_of(0, "long"), 1)
    assert np.isnan(known.leverage_place[2])
    assert known.places[2] is None
    assert known.places[:2] == known.leverage_place[:2].tolist()
