"""Taking verbosity out of the rewards: a lambda for each objective that makes the correlation zero."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from cache import UserError
from gating.correlation import CLOSE_ENOUGH, pearson, spearman, spearman_root
from gating.debiasing import Debiasing, fit_debiasing
from gating.measured import Measured
from gating.settings import DebiasingSettings

Column = NDArray[np.float64]
RULES = ("spearman", "pearson")


def settings_of(verbosity: str, correlation: str) -> DebiasingSettings:
    return DebiasingSettings.model_validate({"verbosity": verbosity, "correlation": correlation})


def fit_one(r: Column, v: Column, correlation: str) -> Debiasing:
    return fit(r[:, None], v, ("reward",), correlation)


def fit(rewards: Column, v: Column, names: tuple[str, ...], correlation: str, variable: str = "length") -> Debiasing:
    """Fit the lambdas on one variable."""
    return fit_debiasing(rewards, v[:, None], (variable,), names, settings_of(variable, correlation))


def related(seed: int, n: int, slope: float, noise: float, decimals: int | None = None) -> tuple[Column, Column]:
    """Rewards that depend on verbosity, and the verbosity, rounded so that values tie."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(n)
    if decimals is not None:
        v = np.round(v, decimals)
    return slope * v + noise * rng.standard_normal(n), v


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(3, 200),
    slope=st.floats(-3, 3),
    noise=st.sampled_from([0.01, 0.5, 10.0]),
)
def test_the_pearson_lambda_is_the_regression_slope_and_leaves_no_correlation(
    seed: int, n: int, slope: float, noise: float
) -> None:
    r, v = related(seed, n, slope, noise)
    debiasing = fit_one(r, v, "pearson")
    closed_form = np.cov(r, v)[0, 1] / np.var(v, ddof=1)
    assert debiasing.lambdas[0, 0] == pytest.approx(closed_form, rel=1e-9, abs=1e-12)
    assert abs(pearsonr(r - debiasing.lambdas[0, 0] * v, v).statistic) < 1e-9
    assert abs(debiasing.after[0, 0]) < 1e-9


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(200, 400),
    slope=st.floats(-3, 3),
    noise=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    decimals=st.sampled_from([None, 2, 1, 0]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_the_spearman_lambda_leaves_next_to_no_rank_correlation(
    seed: int, n: int, slope: float, noise: float, decimals: int | None, scale: float
) -> None:
    r, v = related(seed, n, slope, noise, decimals)
    debiasing = fit_one(r, v * scale, "spearman")
    assert abs(spearmanr(r - debiasing.lambdas[0, 0] * v * scale, v).statistic) <= 0.01
    assert debiasing.not_taken_out() == {}


@settings(deadline=None, max_examples=60)
@given(
    r=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    v=st.lists(st.integers(0, 4), min_size=12, max_size=12).filter(lambda values: len(set(values)) > 1),
)
def test_with_few_and_tied_rows_no_other_lambda_comes_closer(r: list[int], v: list[int]) -> None:
    rewards, verbosity = np.asarray(r, dtype=np.float64), np.asarray(v, dtype=np.float64)
    found = spearman_root(rewards, verbosity)
    crossings = sorted(
        {(a - b) / (c - d) for a, c in zip(r, v, strict=True) for b, d in zip(r, v, strict=True) if c != d}
    )
    between = [(low + high) / 2 for low, high in pairwise(crossings)]
    candidates = [crossings[0] - 1, *between, crossings[-1] + 1]
    closest = min(abs(spearman(rewards - value * verbosity, verbosity)) for value in candidates)
    assert abs(spearman(rewards - found * verbosity, verbosity)) <= closest + 1e-9


@given(
    rows=st.lists(st.tuples(st.integers(-50, 50), st.integers(-20, 20)), min_size=2, max_size=40),
    eighths=st.lists(st.integers(-400, 400), min_size=2, max_size=8, unique=True),
)
def test_the_rank_correlation_never_rises_with_lambda(rows: list[tuple[int, int]], eighths: list[int]) -> None:
    r, v = np.asarray(rows, dtype=np.float64).T
    correlations = [
        spearman(r - value / 8 * v, v) for value in sorted(eighths)
    ]  # exact: no rounding makes or breaks ties
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(correlations))


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=30))
def test_the_measures_are_scipys(rows: list[tuple[int, int]]) -> None:
    a, b = np.asarray(rows, dtype=np.float64).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert pearson(a, b) == pytest.approx(0.0, abs=1e-12)
        assert spearman(a, b) == pytest.approx(0.0, abs=1e-12)
    else:
        assert pearson(a, b) == pytest.approx(pearsonr(a, b).statistic, abs=1e-9)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)


@pytest.mark.parametrize("correlation", RULES)
def test_before_and_after_are_the_correlations_on_the_reference_set(correlation: str) -> None:
    r, v = related(0, 300, slope=1.0, noise=1.0)
    debiasing = fit_one(r, v, correlation)
    measure = spearmanr if correlation == "spearman" else pearsonr
    assert debiasing.before[0, 0] == pytest.approx(measure(r, v).statistic)
    assert debiasing.before[0, 0] > 0.5
    assert debiasing.after[0, 0] == pytest.approx(measure(r - debiasing.lambdas[0, 0] * v, v).statistic, abs=1e-9)


@pytest.mark.parametrize("correlation", RULES)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), slope=st.floats(0.5, 3))
def test_lambda_has_the_sign_of_the_correlation(correlation: str, seed: int, slope: float) -> None:
    rising, v = related(seed, 200, slope, noise=0.5)
    falling, _ = related(seed, 200, -slope, noise=0.5)
    (lambdas,) = fit(np.stack([rising, falling], axis=-1), v, ("up", "down"), correlation).lambdas
    assert lambdas[0] > 0 > lambdas[1]


def test_the_two_measures_give_different_lambdas_where_verbosity_acts_on_a_few_extremes() -> None:
    rng = np.random.default_rng(1)
    v = np.exp(2 * rng.standard_normal(500))
    r = np.log(v) + 0.1 * rng.standard_normal(500)
    by_rank, by_value = (fit_one(r, v, correlation).lambdas[0, 0] for correlation in RULES)
    assert by_rank > 2 * by_value


@pytest.mark.parametrize("correlation", RULES)
def test_the_verbosity_objective_becomes_exactly_zero_and_the_others_lose_it(correlation: str) -> None:
    rng = np.random.default_rng(2)
    rewards = rng.standard_normal((400, 3)) + rng.standard_normal((400, 1))
    debiasing = fit(rewards, rewards[:, 1], ("a", "verbosity", "c"), correlation, "verbosity")
    adjusted = debiasing.transform.apply(rewards, Measured(np.ones(400, dtype=np.int32)))
    assert debiasing.lambdas[0, 1] == 1.0
    assert np.isnan(debiasing.after).tolist() == [[False, True, False]]
    assert debiasing.before[0, 1] == pytest.approx(1.0)
    assert (adjusted[:, 1] == 0.0).all()
    assert adjusted.dtype == np.float64
    for number in (0, 2):
        assert abs((spearmanr if correlation == "spearman" else pearsonr)(adjusted[:, number], rewards[:, 1])[0]) < 0.01


def test_each_objective_has_a_lambda_of_its_own() -> None:
    (up, v), (down, _), (free, _) = (related(3, 400, slope, noise=0.2) for slope in (2.0, -1.0, 0.0))
    rewards = np.stack([up, down, free], axis=-1)
    together = fit(rewards, v, ("up", "down", "free"), "spearman")
    alone = [fit_one(column, v, "spearman").lambdas[0, 0] for column in rewards.T]
    assert together.lambdas.tolist() == [alone]
    np.testing.assert_allclose(together.lambdas, [[2.0, -1.0, 0.0]], atol=0.1)


def test_new_responses_lose_lambda_times_their_verbosity() -> None:
    lambdas, nothing = np.array([[0.5, -2.0]]), np.zeros((1, 2))
    debiasing = Debiasing(("a", "b"), ("response_tokens",), "spearman", lambdas, nothing, nothing)
    adjusted = debiasing.transform.apply(np.array([[1.0, 1.0], [3.0, 0.0]]), Measured(np.array([2000, 4000])))
    assert adjusted.tolist() == [[0.0, 5.0], [1.0, 8.0]]


def test_none_takes_nothing_out() -> None:
    rewards = np.random.default_rng(4).standard_normal((10, 2)).astype(np.float32)
    debiasing = fit_debiasing(rewards, np.zeros((10, 0)), (), ("a", "b"), settings_of("none", "spearman"))
    assert debiasing.lambdas.shape == debiasing.before.shape == debiasing.after.shape == (0, 2)
    assert debiasing.not_taken_out() == {}
    assert debiasing.transform.apply(rewards, Measured(np.zeros(10, dtype=np.int32))).tolist() == rewards.tolist()


@pytest.mark.parametrize("correlation", RULES)
@pytest.mark.parametrize("verbosity", [[], [1.0], [0.1] * 50])
def test_verbosity_that_does_not_vary_is_refused_by_name(correlation: str, verbosity: list[float]) -> None:
    v = np.asarray(verbosity)
    sentence = rf"debiasing\.verbosity: length does not vary over the {len(v)} reference responses: name another"
    with pytest.raises(UserError, match=sentence):
        fit_one(np.arange(len(v), dtype=np.float64), v, correlation)


@pytest.mark.parametrize("correlation", RULES)
def test_a_reward_that_does_not_vary_is_left_alone(correlation: str) -> None:
    v = np.random.default_rng(5).standard_normal(50)
    debiasing = fit_one(np.full(50, 0.1), v, correlation)
    assert debiasing.lambdas[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert debiasing.after[0, 0] == pytest.approx(0.0, abs=1e-12)


def test_an_objective_whose_correlation_steps_over_zero_is_named() -> None:
    r, v = np.arange(5.0), np.array([0.0, 1.0, 2.0, 4.0, 8.0])
    reachable = [spearman(r - value / 64 * v, v) for value in range(-256, 257)]
    assert min(abs(value) for value in reachable) == pytest.approx(0.1)
    debiasing = fit(np.stack([r, np.ones(5)], axis=-1), v, ("steps", "constant"), "spearman")
    assert abs(debiasing.after[0, 0]) == pytest.approx(0.1)
    assert abs(debiasing.after[0, 0]) > CLOSE_ENOUGH
    assert debiasing.not_taken_out() == {"steps": {"length": debiasing.after[0, 0]}}


@pytest.mark.parametrize("correlation", RULES)
def test_a_reward_that_is_nothing_but_verbosity_counts_as_taken_out(correlation: str) -> None:
    v = np.random.default_rng(0).standard_normal(300)
    debiasing = fit_one(3 * v + 1, v, correlation)
    assert debiasing.lambdas[0, 0] == pytest.approx(3.0)
    assert debiasing.not_taken_out() == {}


@pytest.mark.parametrize("correlation", RULES)
@pytest.mark.parametrize("where", ["reward", "verbosity"])
def test_a_value_that_is_not_finite_is_refused(correlation: str, where: str) -> None:
    r, v = related(6, 50, slope=1.0, noise=1.0)
    (r if where == "reward" else v)[3] = np.nan
    with pytest.raises((UserError, ValueError)):
        fit_one(r, v, correlation)
