"""The probability that one response is better, from the posterior of heads, and decisions left open."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.decision import abstains, probability_better
from gating.measured import Measured
from heads.ridge.familiarity import calibrate
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.settings import HeadSettings
from tests.gating.transforms import transform_of

D, NOISE = 12, 0.6
ALPHA = NOISE**2 * D


def test_the_probability_is_the_share_of_a_monte_carlo_over_the_posterior() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, D))
    # Two objectives whose ratings share noise, and verbosity taken out of the first.
    noise = rng.multivariate_normal([0.0, 0.0], NOISE**2 * np.array([[1.0, 0.6], [0.6, 1.0]]), 400)
    targets = features @ rng.standard_normal((D, 2)) / np.sqrt(D) + noise
    statistics = GramStatistics(("a", "b"), D)
    statistics.add("set", "train", features[:40], targets[:40])
    statistics.add("set", "validation", features[40:], targets[40:])
    fitted = fit_heads(statistics, HeadSettings(alphas=(ALPHA,)), skip_unfit=False)
    assert fitted.factors is not None
    uncertainty = calibrate(fitted.factors, features[40:], targets[40:])
    heads = fitted.factors.weight.astype(np.float64)  # (2, d), of the training rows alone
    transform = transform_of(np.array([0.4, 0.0]), "b", ("a", "b"))
    gate = np.array([[0.7, 0.3]])
    coefficients = transform.coefficients(gate)  # (1, 2)

    first, second = rng.standard_normal((2, 30, D)).astype(np.float32)
    second[:10] = first[:10] + 0.05 * second[:10]  # nearly the same response: nearly all error is shared
    leverages = uncertainty.margin_leverages(first, second)
    std = uncertainty.combined_errors(leverages, np.repeat(coefficients, 30, axis=0))
    margins = (first - second) @ heads.T @ coefficients[0]
    probability = probability_better(margins, std)

    gram = features[:40].T @ features[:40] + ALPHA * np.eye(D)
    root = np.linalg.cholesky(np.kron(uncertainty.covariance, np.linalg.inv(gram)))  # of both heads together
    drawn = heads.ravel() + rng.standard_normal((20_000, 2 * D)) @ root.T
    rewards_first = np.einsum("sid,nd->sni", drawn.reshape(-1, 2, D), first)
    rewards_second = np.einsum("sid,nd->sni", drawn.reshape(-1, 2, D), second)
    no_tokens = Measured(np.zeros(30, dtype=np.int64))
    scores = [
        np.stack([transform.apply(rewards, no_tokens) @ gate[0] for rewards in some])
        for some in (rewards_first, rewards_second)
    ]
    share = (scores[0] > scores[1]).mean(axis=0)
    assert np.ptp(share) > 0.5
    np.testing.assert_allclose(probability, share, atol=4 * np.sqrt(0.25 / 20_000))


@given(st.floats(-10, 10), st.floats(0.01, 10))
def test_the_two_orders_of_a_pair_have_one_probability(margin: float, std: float) -> None:
    one, other = probability_better(np.array([margin, -margin]), np.array([std, std]))
    assert one + other == pytest.approx(1.0)
    assert (one > 0.5) == (margin / std > 1e-15) or abs(one - 0.5) < 1e-15


def test_equal_scores_are_a_coin_and_a_margin_without_an_error_is_certain() -> None:
    found = probability_better(np.array([0.0, 0.0, 1.0, -1.0]), np.array([0.0, 2.0, 0.0, 0.0]))
    assert found.tolist() == [0.5, 0.5, 1.0, 0.0]


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0.5, 1), st.floats(0.5, 1))
def test_a_higher_threshold_leaves_no_fewer_open(probabilities: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    open_at = [abstains(np.array(probabilities), below) for below in (0.5, low, high)]
    assert not open_at[0].any()
    assert (open_at[1] <= open_at[2]).all()


@pytest.mark.parametrize("below", [0.49, 1.01, float("nan")])
def test_a_threshold_that_is_none_is_refused(below: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.5 to 1"):
        abstains(np.array([0.5]), below)
