"""Risk against coverage, beside a naive count and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluation.risk_coverage import COVERAGES, areas, curve, drawn_areas, estimate, risk_at

DECISIONS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=12)
Real = NDArray[np.float64]


def columns(decisions: list[tuple[int, float]]) -> tuple[Real, Real]:
    confidence, wrong = zip(*decisions, strict=True)
    return np.array(confidence, dtype=np.float64), np.array(wrong)


def area(confidence: Real, wrong: Real) -> float:
    return float(areas(confidence, wrong, np.ones((1, len(wrong))))[0])


def naive_area(confidence: Real, wrong: Real) -> float:
    """Mean risk over all coverages, in O(n²): of equal confidences, each kept one is as wrong as their mean."""
    risks = []
    for kept in range(1, len(wrong) + 1):
        lowest = np.sort(confidence)[::-1][kept - 1]
        surer, equal = confidence > lowest, confidence == lowest
        errors = wrong[surer].sum() + (kept - surer.sum()) * wrong[equal].mean()
        risks.append(errors / kept)
    return float(np.mean(risks))


def test_the_area_of_four_decisions_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    # One wrong decision, in the first, second, … place: its risk is 1/1, 1/2 … where it is kept.
    expected = [(1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, (1 / 2 + 1 / 3 + 1 / 4) / 4, (1 / 3 + 1 / 4) / 4, 1 / 4 / 4]
    assert [area(confidence, wrong) for wrong in np.eye(4)] == pytest.approx(expected)
    assert curve(confidence, np.eye(4)[1]).tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert risk_at(confidence, np.eye(4)[1], (0.25, 0.5, 0.51, 1.0)) == pytest.approx((0, 1 / 2, 1 / 3, 1 / 4))


@given(DECISIONS)
def test_the_area_is_that_of_a_naive_count(decisions: list[tuple[int, float]]) -> None:
    confidence, wrong = columns(decisions)
    expected = naive_area(confidence, wrong)
    assert area(confidence, wrong) == pytest.approx(expected)
    assert curve(confidence, wrong).mean() == pytest.approx(expected)


@given(DECISIONS, st.data())
def test_a_decision_drawn_twice_counts_as_two(decisions: list[tuple[int, float]], data: st.DataObject) -> None:
    confidence, wrong = columns(decisions)
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(wrong), max_size=len(wrong))))
    times[0] += times.sum() == 0
    expected = naive_area(np.repeat(confidence, times), np.repeat(wrong, times))
    assert areas(confidence, wrong, times[None].astype(np.float64)) == pytest.approx([expected])


@given(DECISIONS)
def test_the_curve_ends_at_the_error_rate_and_no_order_beats_the_oracle(decisions: list[tuple[int, float]]) -> None:
    confidence, wrong = columns(decisions)
    assert risk_at(confidence, wrong)[-1] == pytest.approx(wrong.mean())
    oracle, worst = area(-wrong, wrong), area(wrong, wrong)
    assert oracle - 1e-12 <= area(confidence, wrong) <= worst + 1e-12
    assert len(risk_at(confidence, wrong)) == len(COVERAGES)


@given(DECISIONS)
def test_random_abstention_has_the_error_rate_as_its_area(decisions: list[tuple[int, float]]) -> None:
    _, wrong = columns(decisions)
    assert area(np.zeros(len(wrong)), wrong) == pytest.approx(wrong.mean())


def test_the_mean_area_of_random_orders_is_that_of_equal_confidence() -> None:
    rng = np.random.default_rng(0)
    wrong = (rng.random(40) < 0.3).astype(np.float64)
    orders = [naive_area(rng.random(40), wrong) for _ in range(400)]
    assert np.mean(orders) == pytest.approx(wrong.mean(), abs=4 * np.std(orders) / 20)


def test_draws_are_of_prompts_and_the_same_for_all_confidences() -> None:
    rng = np.random.default_rng(1)
    prompt = np.repeat(np.arange(50), 4)
    wrong = np.repeat(rng.random(50) < 0.3, 4).astype(np.float64)  # all four decisions of a prompt alike
    confidence = rng.random(200)
    drawn = drawn_areas([confidence, 2.0 * confidence, np.zeros(200)], wrong, prompt, resamples=300)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert drawn[0, 0] == pytest.approx(area(confidence, wrong))
    # The error rate of 50 independent prompts, not that of 200 decisions.
    assert drawn[1:, 2].std() == pytest.approx(np.sqrt(wrong.mean() * (1 - wrong.mean()) / 50), rel=0.15)
    found = estimate(drawn[:, 2])
    assert found.low < found.value == wrong.mean() < found.high
