"""Distributions of ratings: moments, quantiles, CRPS and the probability integral transform, against integration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import trapezoid

from heads.distributions import LEVELS, WEIGHTS, Distributions

ATOMS = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 1.0)), min_size=1, max_size=8)


def one(atoms: list[tuple[float, float]]) -> Distributions:
    """The distribution of some atoms with weights that need not sum to 1."""
    values, weights = np.array(atoms).T
    return Distributions.of_atoms(values[None], (weights / weights.sum())[None])


def integrated_crps(values: NDArray[np.float64], weights: NDArray[np.float64], observed: float) -> float:
    """The integral of (F(z) - 1{observed <= z})², exactly: F is a step function."""
    edges = np.unique(np.append(values, observed))
    middle = (edges[1:] + edges[:-1]) / 2
    reached = (weights * (values <= middle[:, None])).sum(axis=-1)
    return float((np.diff(edges) * np.square(reached - (middle >= observed))).sum())


@given(ATOMS, st.floats(-6, 6))
@settings(deadline=None, max_examples=50)
def test_the_score_is_the_integral_that_defines_it(atoms: list[tuple[float, float]], observed: float) -> None:
    distribution = one(atoms)
    expected = integrated_crps(distribution.values[0], distribution.weights[0], observed)
    assert distribution.crps(np.array([observed]))[0] == pytest.approx(expected, abs=1e-9)


@given(ATOMS)
@settings(deadline=None, max_examples=50)
def test_moments_and_quantiles_belong_to_the_cdf(atoms: list[tuple[float, float]]) -> None:
    distribution = one(atoms)
    values, weights = distribution.values[0], distribution.weights[0]
    assert distribution.mean[0] == pytest.approx(values @ weights, abs=1e-9)
    assert distribution.variance[0] == pytest.approx(values**2 @ weights - (values @ weights) ** 2, abs=1e-8)
    assert distribution.cdf(values[-1:])[0] == pytest.approx(1.0)
    for level in (0.05, 0.37, 0.95):
        quantile = distribution.quantile(level)
        assert distribution.cdf(quantile + 1e-12)[0] >= level - 1e-6
        assert distribution.cdf(quantile - 1e-6)[0] <= level + 1e-6


def test_a_normal_distribution_has_the_closed_forms() -> None:
    mean, deviation = np.array([0.3, -1.0, 2.0]), np.array([0.2, 1.0, 3.0])
    observed = np.array([0.35, 1.5, -1.0])
    distribution = Distributions.normal(mean, deviation)
    z = (observed - mean) / deviation
    # Gneiting and Raftery 2007, eq. 22
    exact = deviation * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(distribution.crps(observed), exact, rtol=1e-3)
    grid = np.linspace(-40, 40, 400_001)
    integral = [
        trapezoid(np.square(stats.norm.cdf(grid, *moments) - (grid >= y)), grid)
        for *moments, y in zip(mean, deviation, observed, strict=True)
    ]
    np.testing.assert_allclose(distribution.crps(observed), integral, rtol=2e-3)
    np.testing.assert_allclose(distribution.mean, mean, atol=1e-9)
    np.testing.assert_allclose(distribution.variance, deviation**2, rtol=4e-3)
    np.testing.assert_allclose(distribution.quantile(0.05), stats.norm.ppf(0.05, mean, deviation), rtol=0.02)
    np.testing.assert_allclose(distribution.cdf(observed), stats.norm.cdf(z), atol=6e-3)


def test_quantiles_that_cross_are_sorted_and_joined_by_lines() -> None:
    distribution = Distributions.of_quantiles((0.25, 0.5, 0.75), np.array([[3.0, 1.0, 2.0]]))
    np.testing.assert_allclose(distribution.values[0], 4.0 * LEVELS, atol=1e-9)
    assert WEIGHTS.sum() == pytest.approx(1.0)
    assert distribution.mean[0] == pytest.approx(2.0)


def test_residuals_are_moved_to_each_prediction() -> None:
    residuals = np.random.default_rng(0).exponential(size=4000) - 1.0
    distribution = Distributions.of_residuals(np.array([0.0, 10.0]), residuals)
    np.testing.assert_allclose(distribution.mean - [0.0, 10.0], residuals.mean(), atol=5e-3)
    np.testing.assert_allclose(distribution.quantile(0.9) - [0.0, 10.0], np.quantile(residuals, 0.9), atol=0.02)


def test_the_transform_of_what_a_distribution_draws_is_uniform() -> None:
    rng = np.random.default_rng(1)
    mean, deviation = rng.standard_normal(40_000), rng.uniform(0.5, 2.0, 40_000)
    observed = mean + deviation * rng.standard_normal(40_000)
    histogram = Distributions.normal(mean, deviation).pit_histogram(observed)
    np.testing.assert_allclose(histogram, np.full(10, 0.1), atol=0.006)
    narrow = Distributions.normal(mean, deviation / 2).pit_histogram(observed)
    assert narrow[0] > 0.2 < narrow[-1]
    levels = np.array([0.1, 0.3, 0.5])
    probabilities = rng.dirichlet([1.0, 2.0, 3.0], 40_000)
    drawn = levels[(rng.random(40_000)[:, None] > probabilities.cumsum(axis=-1)).sum(axis=-1).clip(max=2)]
    discrete = Distributions.of_levels(levels, probabilities).pit_histogram(drawn)
    np.testing.assert_allclose(discrete, np.full(10, 0.1), atol=0.006)
    assert discrete.sum() == pytest.approx(1.0)


def test_the_transform_agrees_with_random_numbers_within_an_atom() -> None:
    """The definition with random numbers (Smith 1985), of which the histogram is the expectation."""
    rng = np.random.default_rng(2)
    levels, probabilities = np.arange(4.0), np.array([[0.1, 0.45, 0.05, 0.4]])
    for observed in levels:
        below, at = probabilities[0, levels < observed].sum(), probabilities[0, levels == observed].sum()
        expected = np.histogram(below + at * rng.random(200_000), bins=10, range=(0, 1))[0] / 200_000
        found = Distributions.of_levels(levels, probabilities).pit_histogram(np.array([observed]))
        np.testing.assert_allclose(found, expected, atol=0.005)
