"""Aggregation rules: one score a response from its rewards."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.rules import RULES
from gating.rules.gated import contributions
from gating.rules.rule import Arrays, PairRewards, Responses, Scores

TASKS = 3


def responses(seed: int, n: int, k: int) -> Responses:
    rng = np.random.default_rng(seed)
    return Responses(
        rewards=rng.standard_normal((n, k)).astype(np.float32),
        weights=rng.dirichlet(np.ones(k), size=n).astype(np.float32),
        task=rng.integers(TASKS, size=n),
        bradley_terry=rng.standard_normal(n),
        tokens=rng.integers(1, 5000, n, dtype=np.int32),
        before_debiasing=rng.standard_normal((n, k)).astype(np.float32),
    )


def pairs(seed: int, n: int, k: int) -> PairRewards:
    rng = np.random.default_rng(seed)
    difference = (rng.standard_normal((n, k)) + 0.3).astype(np.float32)
    return PairRewards(difference, rng.integers(TASKS, size=n), TASKS, np.ones(n))


def fitted(k: int) -> dict[str, Arrays]:
    return {name: rule.fit(pairs(7, 200, k)) for name, rule in RULES.items()}


def score(name: str, some: Responses) -> Scores:
    return RULES[name].scores(some, fitted(some.rewards.shape[-1])[name])


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 25))
def test_contributions_sum_to_the_gate_score_within_float32_rounding(seed: int, n: int, k: int) -> None:
    some = responses(seed, n, k)
    terms = contributions(some.rewards, some.weights)
    scores = RULES["gate"].scores(some, {})
    single = np.einsum("nk,nk->n", some.weights, some.rewards)
    assert single.dtype == np.float32
    rounding = k * np.finfo(np.float32).eps * np.abs(terms).sum(axis=-1)
    assert terms.shape == (n, k)
    assert (np.abs(terms.sum(axis=-1) - scores) <= rounding).all()
    assert (np.abs(single - scores) <= rounding).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_a_rule_with_weights_of_rewards_is_their_sum(seed: int, k: int) -> None:
    some, arrays = responses(seed, 15, k), fitted(k)
    sums = {name: rule.reward_weights for name, rule in RULES.items() if rule.reward_weights is not None}
    assert set(RULES) - set(sums) == {"before_debiasing", "bradley_terry", "length"}
    for name, weigh in sums.items():
        weights = weigh(some, arrays[name])
        expected = (weights * some.rewards).sum(axis=-1)
        np.testing.assert_allclose(RULES[name].scores(some, arrays[name]), expected, rtol=1e-12, atol=1e-12)


def test_scores_by_hand() -> None:
    some = Responses(
        rewards=np.array([[1.0, -2.0], [0.5, 0.25]], dtype=np.float32),
        weights=np.array([[0.75, 0.25], [0.25, 0.75]], dtype=np.float32),
        task=np.array([1, 0]),
        bradley_terry=np.array([3.0, -1.0]),
        tokens=np.array([10, 7], dtype=np.int32),
        before_debiasing=np.array([[3.0, -2.0], [1.5, 0.25]], dtype=np.float32),
    )
    weights = {"weight": np.array([2.0, 1.0])}
    by_task = {"weight": np.array([[1.0, 1.0], [0.0, 1.0]])}
    assert contributions(some.rewards, some.weights).tolist() == [[0.75, -0.5], [0.125, 0.1875]]
    expected = {
        "gate": ({}, [0.25, 0.3125]),
        "before_debiasing": ({}, [1.75, 0.5625]),
        "strongest": ({}, [1.0, 0.25]),
        "uniform": ({}, [-0.5, 0.375]),
        "convex": (weights, [0.0, 1.25]),
        "signed": (weights, [0.0, 1.25]),
        "decorrelated": (weights, [0.0, 1.25]),
        "best_objective": (weights, [0.0, 1.25]),
        "routed": (by_task, [-2.0, 0.75]),
        "bradley_terry": ({}, [3.0, -1.0]),
        "length": ({}, [10.0, 7.0]),
    }
    assert {
        name: (given, rule.scores(some, given).tolist())
        for name, (given, _) in expected.items()
        if (rule := RULES[name])
    } == expected
    assert set(expected) == set(RULES)


def test_equal_weights_and_the_strongest_objective_are_the_gates_limits_of_temperature() -> None:
    some = responses(0, 12, 4)
    logits = np.random.default_rng(0).standard_normal((12, 4))

    def at(temperature: float) -> Responses:
        weights = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
        return replace(some, weights=(weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32))

    np.testing.assert_allclose(score("gate", at(1e9)), score("uniform", some), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score("gate", at(1e-3)), score("strongest", at(1.0)), rtol=1e-5, atol=1e-6)


def test_a_negative_logit_scale_does_not_turn_the_strongest_objective_into_the_weakest() -> None:
    some = responses(1, 20, 5)
    turned = replace(some, weights=-2 * some.weights)
    assert score("strongest", turned).tolist() == score("strongest", some).tolist()


def test_the_longer_response_wins_by_length() -> None:
    some = responses(1, 30, 3)
    assert np.argsort(score("length", some), kind="stable").tolist() == np.argsort(some.tokens, kind="stable").tolist()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_one_float64_score_a_response_and_looks_at_nobody_else(name: str) -> None:
    some = responses(2, 9, 5)
    half = Responses(*(getattr(some, field.name)[:4] for field in fields(some)))
    scores = score(name, some)
    assert scores.shape == (9,)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(score(name, half), scores[:4], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_fitting_is_repeatable_and_leaves_finite_arrays(name: str) -> None:
    one, other = RULES[name].fit(pairs(3, 100, 4)), RULES[name].fit(pairs(3, 100, 4))
    assert one.keys() == other.keys()
    for key, array in one.items():
        assert np.isfinite(array).all()
        assert array.tobytes() == other[key].tobytes()


def test_routed_weights_follow_each_task_and_stay_near_the_common_ones_where_it_has_no_pairs() -> None:
    rng = np.random.default_rng(0)
    difference = rng.standard_normal((2000, 2)).astype(np.float32)
    task = rng.integers(2, size=2000)
    decided = difference[np.arange(2000), task]  # task 0 is decided by objective 0, task 1 by objective 1
    difference *= np.sign(decided)[:, None]
    weights = RULES["routed"].fit(PairRewards(difference, task, 3, np.ones(2000)))["weight"]
    common = RULES["convex"].fit(PairRewards(difference, task, 3, np.ones(2000)))["weight"]
    assert weights[0, 0] > 5 * weights[0, 1]
    assert weights[1, 1] > 5 * weights[1, 0]
    np.testing.assert_allclose(weights[2], common)


def test_the_rules_that_every_report_holds_are_there() -> None:
    assert {"gate", "uniform", "bradley_terry", "length"} <= set(RULES)
    assert all(rule.title and rule.method for rule in RULES.values())
