"""The distribution of a score: its mean is the score, its variance the mixture's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gating.gate import Gate
from gating.measured import Measured
from gating.mixture import score_distribution
from gating.reward import RewardParts
from gating.settings import GateSettings
from heads.distributions import Distributions
from tests.gating.transforms import transform_of


@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(deadline=None, max_examples=30)
def test_mean_and_variance_are_those_of_a_mixture(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    means, deviations = rng.standard_normal((7, k)), rng.uniform(0.1, 1.0, (7, k))
    weights = rng.dirichlet(np.ones(k), 7)
    each = [Distributions.normal(*moments) for moments in zip(means.T, deviations.T, strict=True)]
    mixed = score_distribution(each, weights)
    variances = np.column_stack([one.variance for one in each])
    score = (weights * means).sum(axis=-1)
    np.testing.assert_allclose(mixed.mean, score, atol=1e-9)
    np.testing.assert_allclose(mixed.variance, (weights * (variances + means**2)).sum(axis=-1) - score**2, atol=1e-9)
    assert (mixed.variance >= (weights**2 * variances).sum(axis=-1) - 1e-9).all()  # never surer than independent terms


def test_draws_of_a_mixture_have_its_quantiles() -> None:
    rng = np.random.default_rng(0)
    each = [
        Distributions.normal(np.array([0.0]), np.array([1.0])),
        Distributions.normal(np.array([4.0]), np.array([0.5])),
    ]
    mixed = score_distribution(each, np.array([[0.3, 0.7]]))
    second = rng.random(400_000) < 0.7
    drawn = np.where(second, 4.0 + 0.5 * rng.standard_normal(400_000), rng.standard_normal(400_000))
    for level in (0.05, 0.25, 0.6, 0.95):
        assert mixed.quantile(level)[0] == pytest.approx(np.quantile(drawn, level), abs=0.05)


def test_the_mean_is_the_score_that_the_reward_model_gives() -> None:
    """With debiasing, and a length penalty of its own."""
    rng = np.random.default_rng(1)
    names = ("helpful", "verbose")
    weight = rng.standard_normal((2, 4)).astype(np.float32)
    transform = transform_of(np.array([0.5, 0.0]), "verbose", names)
    parts = RewardParts(names, weight, transform, Gate(4, 2, GateSettings(hidden_size=4)))
    features, prompts = (rng.standard_normal((3, 4)).astype(np.float32) for _ in range(2))
    rewards, weights = parts.rewards(features), parts.weights(prompts)
    tokens = Measured(np.array([10, 20, 30]))
    scores = [parts.score(rewards[row], weights[row], 5, tokens[[row]]).score for row in range(3)]
    each = [Distributions.normal(rewards[:, number], np.full(3, 0.2)) for number in range(2)]
    mixed = score_distribution(each, weights, parts.transform.penalties(rewards, tokens))
    np.testing.assert_allclose(mixed.mean, scores, rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"), [([[0.5, -0.5]], "0 or more"), ([[0.0, 0.0]], "positive"), ([[1.0]], "do not fit")]
)
def test_weights_that_make_no_mixture_are_refused(weights: list[list[float]], message: str) -> None:
    one = Distributions.normal(np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match=message):
        score_distribution([one, one], np.array(weights))
