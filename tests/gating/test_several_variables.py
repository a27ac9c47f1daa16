"""Several variables are taken out of the rewards at once: no reward correlates with any of them afterwards."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import LinearRegression

from cache import UserError
from extract.style import STYLE
from gating.correlation import CLOSE_ENOUGH, ROOTS
from gating.debiasing import Debiasing, fit_debiasing
from gating.measured import Measured
from gating.reference_set import no_roots
from gating.settings import MEASURED, DebiasingSettings, in_order, unknown_variable, variables_of, verbosity_of

Matrix = NDArray[np.float64]
OBJECTIVES = ("helpful", "true", "verbose", "safe")
FIVE = (*MEASURED, "verbose")
RULES = ("pearson", "spearman")


def responses(seed: int, n: int) -> tuple[Matrix, Measured]:
    """Rewards (n, 4) of responses whose marks go with their length, and what is measured in them."""
    rng = np.random.default_rng(seed)
    tokens = rng.gamma(2.0, 150.0, n).astype(np.int32) + 1
    markdown = rng.poisson(np.exp(rng.standard_normal(n) + tokens / 600))
    lists, fences = rng.poisson(2 * markdown), rng.poisson(0.3, n)
    measured = Measured(tokens, np.stack([markdown, lists, fences], axis=-1))
    verbose = tokens / 500 + 0.1 * np.log1p(markdown) + 0.2 * rng.standard_normal(n)
    variables = np.stack([*(measured.value(name) for name in MEASURED), verbose], axis=-1)  # (n, 5)
    others = variables @ rng.standard_normal((5, 3))  # (n, 3)
    others += np.stack([rng.standard_normal(n), rng.standard_t(2, n), rng.choice([-2.0, 2.0], n)], axis=-1)
    others[:, 2] += 0.1 * rng.standard_normal(n)
    helpful, true, safe = others.T
    return np.stack([helpful, true, verbose, safe], axis=-1).astype(np.float32).astype(np.float64), measured


def values(rewards: Matrix, measured: Measured, variables: tuple[str, ...] = FIVE) -> Matrix:
    columns = [measured.value(v) if v in MEASURED else rewards[:, OBJECTIVES.index(v)] for v in variables]
    return np.stack(columns, axis=-1)


def settings_of(correlation: str, **more: Any) -> DebiasingSettings:
    return DebiasingSettings.model_validate({"verbosity": FIVE, "correlation": correlation} | more)


def fit(correlation: str, seed: int = 0, n: int = 500) -> tuple[Debiasing, Matrix, Measured]:
    rewards, measured = responses(seed, n)
    return (
        fit_debiasing(rewards, values(rewards, measured), FIVE, OBJECTIVES, settings_of(correlation)),
        rewards,
        measured,
    )


@pytest.mark.parametrize("correlation", RULES)
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**31))
def test_no_reward_correlates_with_any_variable_afterwards(correlation: str, seed: int) -> None:
    debiasing, rewards, measured = fit(correlation, seed)
    adjusted = debiasing.transform.apply(rewards, measured)
    measure = spearmanr if correlation == "spearman" else pearsonr
    for number, name in enumerate(OBJECTIVES):
        if name == "verbose":
            assert (adjusted[:, number] == 0.0).all()
            continue
        for place, v in enumerate(values(rewards, measured).T):
            assert abs(measure(adjusted[:, number], v).statistic) <= CLOSE_ENOUGH
            assert debiasing.before[place, number] == pytest.approx(measure(rewards[:, number], v).statistic)
            assert debiasing.after[place, number] == pytest.approx(measure(adjusted[:, number], v).statistic, abs=1e-6)
    assert debiasing.not_taken_out() == {}


def test_the_pearson_lambdas_are_the_coefficients_of_a_linear_regression() -> None:
    debiasing, rewards, measured = fit("pearson")
    kept = [0, 1, 3]
    regression = LinearRegression().fit(values(rewards, measured), rewards[:, kept])
    np.testing.assert_allclose(debiasing.lambdas[:, kept], regression.coef_.T, rtol=1e-8, atol=1e-10)
    adjusted = debiasing.transform.apply(rewards, measured)[:, kept]
    design = np.column_stack([values(rewards, measured), np.ones(len(rewards))])
    residual = rewards[:, kept] - design @ np.linalg.lstsq(design, rewards[:, kept], rcond=None)[0]
    np.testing.assert_allclose(adjusted - adjusted.mean(axis=0), residual, atol=1e-9)


@pytest.mark.parametrize("correlation", RULES)
def test_a_variable_is_zeroed_after_its_value_was_used_for_the_others(correlation: str) -> None:
    rewards, measured = responses(1, 400)
    variables = ("lists", "true", "verbose")
    some = settings_of(correlation, verbosity=variables)
    debiasing = fit_debiasing(rewards, values(rewards, measured, variables), variables, OBJECTIVES, some)
    adjusted = debiasing.transform.apply(rewards, measured)
    assert debiasing.lambdas[:, 1].tolist() == [0.0, 1.0, 0.0]
    assert debiasing.lambdas[:, 2].tolist() == [0.0, 0.0, 1.0]
    assert (adjusted[:, 1:3] == 0.0).all()
    assert np.isnan(debiasing.after).tolist() == [[False, True, True, False]] * 3
    assert (debiasing.lambdas[1:, [0, 3]] != 0).all()
    measure = spearmanr if correlation == "spearman" else pearsonr
    for objective in (0, 3):
        for variable in (1, 2):
            assert abs(measure(adjusted[:, objective], rewards[:, variable]).statistic) <= CLOSE_ENOUGH


@pytest.mark.parametrize("correlation", RULES)
def test_a_list_of_one_is_that_one_to_the_last_bit(correlation: str) -> None:
    rewards, measured = responses(2, 300)
    v = measured.value("response_tokens")
    found = [
        fit_debiasing(rewards, v[:, None], ("response_tokens",), OBJECTIVES, settings_of(correlation, verbosity=given))
        for given in ("response_tokens", ["response_tokens"])
    ]
    assert found[0].lambdas.tobytes() == found[1].lambdas.tobytes()
    assert found[0].lambdas.tolist() == [[ROOTS[correlation](r, v) for r in rewards.T]]


@pytest.mark.parametrize("correlation", RULES)
def test_collinear_variables_share_the_smallest_penalties(correlation: str) -> None:
    rng = np.random.default_rng(3)
    v = rng.standard_normal(400)
    r = 2.0 * v + 0.5 * rng.standard_normal(400)
    twice = np.stack([v, 3.0 * v], axis=-1)
    one, two = (
        fit_debiasing(r[:, None], some, names, ("r",), settings_of(correlation, verbosity=names))
        for some, names in ((v[:, None], ("markdown",)), (twice, ("markdown", "lists")))
    )
    assert np.abs(two.after).max() <= CLOSE_ENOUGH
    assert twice @ two.lambdas[:, 0] == pytest.approx(v * one.lambdas[0, 0], abs=0.05)
    assert two.lambdas[0, 0] == pytest.approx(3.0 * two.lambdas[1, 0], rel=0.05)  # equal parts of the penalty


@pytest.mark.parametrize("correlation", RULES)
def test_a_reward_that_is_nothing_but_the_variables_or_does_not_vary_has_nothing_left(correlation: str) -> None:
    rewards, measured = responses(4, 300)
    v = values(rewards, measured)
    made = np.stack([v @ [1.0, -2.0, 0.5, 3.0, 1.0], np.full(300, 0.3), v[:, 4], rewards[:, 3]], axis=-1)
    debiasing = fit_debiasing(made, v, FIVE, OBJECTIVES, settings_of(correlation))
    np.testing.assert_allclose(debiasing.lambdas[:, 0], [1.0, -2.0, 0.5, 3.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(debiasing.lambdas[:, 1], 0.0, atol=1e-9)
    assert np.nanmax(np.abs(debiasing.after)) <= CLOSE_ENOUGH


def test_variables_that_cannot_be_taken_out_are_named() -> None:
    rewards = np.arange(6.0)[:, None]
    some = np.array([[0, 1, 2, 4, 8, 16], [0, 1, 0, 0, 1, 1]], dtype=np.float64).T
    names = ("response_tokens", "markdown")
    debiasing = fit_debiasing(rewards, some, names, ("steps",), settings_of("spearman", verbosity=names))
    remaining = debiasing.not_taken_out()["steps"]
    assert remaining
    sentence = no_roots(debiasing, "root")["steps"]
    for name, value in remaining.items():
        assert f"with {name} stays at {value:+.3f}" in sentence
    assert abs(spearmanr(rewards[:, 0] - some @ debiasing.lambdas[:, 0], some[:, 0]).statistic) == pytest.approx(
        abs(debiasing.after[0, 0]), abs=1e-12
    )


@pytest.mark.parametrize("correlation", RULES)
def test_a_variable_that_does_not_vary_is_refused_by_name(correlation: str) -> None:
    rewards, measured = responses(5, 50)
    v = values(rewards, measured)
    v[:, 3] = 0.0
    with pytest.raises(UserError, match="code_fences does not vary over the 50 reference responses: take it out, or"):
        fit_debiasing(rewards, v, FIVE, OBJECTIVES, settings_of(correlation))
    with pytest.raises(UserError, match="response_tokens does not vary over the 1 reference responses"):
        fit_debiasing(rewards[:1], v[:1], FIVE, OBJECTIVES, settings_of(correlation))


def test_a_variable_that_does_not_vary_on_held_out_responses_has_no_correlation_there() -> None:
    debiasing, rewards, measured = fit("spearman")
    v = values(rewards, measured)
    v[:, 1] = 0.0
    before, after = debiasing.correlations(rewards, v)
    assert np.isnan(before).any(axis=-1).tolist() == [False, True, False, False, False]
    assert np.isnan(after[:, 0]).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"verbosity": []}, "it is an empty list: name a variable, or 'none'"),
        ({"verbosity": ["lists", "x", "lists"]}, "it names 'lists' twice: take one of them out"),
        ({"verbosity": 3}, "it is neither the name of a variable nor a list of names"),
        ({"verbosity": ["lists", 3]}, "it is neither the name of a variable nor a list of names"),
        ({"verbosity": ["lists", "none"]}, "'none' takes nothing out and stands alone"),
        ({"verbosity": ["lists", "x"], "method": "published_grid"}, "is a search for one lambda: name one variable"),
    ],
)
def test_lists_that_mean_nothing_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DebiasingSettings.model_validate(given)


def test_where_nothing_is_taken_out_no_reward_is_looked_at() -> None:
    rewards = np.array([[np.inf, 1.0], [np.nan, 2.0], [0.0, 3.0]])
    some = settings_of("spearman", verbosity="none")
    assert fit_debiasing(rewards, np.zeros((3, 0)), (), ("a", "b"), some).lambdas.shape == (0, 2)


def test_names_of_variables() -> None:
    assert variables_of("none") == ()
    assert variables_of("x") == ("x",)
    assert variables_of(("x", "lists")) == ("x", "lists")
    assert in_order(("safe", "lists", "helpful", "response_tokens"), OBJECTIVES) == (
        *("response_tokens", "lists"),
        *("helpful", "safe"),
    )
    assert [verbosity_of(names) for names in ((), ("x",), ("x", "y"))] == ["none", "x", ("x", "y")]
    assert unknown_variable(("lists", "nobody"), OBJECTIVES) == "nobody"
    assert unknown_variable(("lists", "safe"), OBJECTIVES) is None


def test_units_are_thousands_of_tokens_and_logarithms_of_marks() -> None:
    measured = Measured.of_response(1500, "# H\n- a\n- b\n```\ncode\n```")
    assert measured.value("response_tokens").tolist() == [1.5]
    assert [measured.value(mark).tolist() for mark in STYLE] == [[np.log(2.0)], [np.log(3.0)], [np.log(2.0)]]
