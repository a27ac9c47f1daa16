"""Whether one rule is better than another, and how sure that is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from evaluation.comparison import compare, holm, sign_test

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_mcnemars_exact_p_is_twice_the_binomial_tail() -> None:
    # Better 3, worse 10: 2 P(X <= 3), X ~ B(13, 1/2) = 2 (1 + 13 + 78 + 286) / 8192.
    assert sign_test(3, 10) == pytest.approx(2 * 378 / 8192)
    assert sign_test(10, 3) == pytest.approx(2 * binom.cdf(3, 13, 0.5))
    assert sign_test(5, 5) == 1.0
    assert sign_test(0, 0) == 1.0


def test_holms_correction_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.04, and never falling.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_holm_is_between_the_p_value_and_bonferronis_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(own <= after <= min(1.0, len(p) * own) for own, after in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.asarray(corrected)[order]) >= 0).all()


def test_a_rule_is_compared_on_the_rows_where_the_two_differ() -> None:
    base = np.array([1.0] * 50 + [0.0] * 50)
    other = base.copy()
    other[50:62] = 1.0
    other[:2] = 0.0
    found = compare({"base": base, "other": other}, np.arange(100), "base")
    assert list(found) == ["other"]
    assert (found["other"].better, found["other"].worse, found["other"].rows) == (12, 2, 100)
    assert found["other"].lead == pytest.approx(0.1)
    assert found["other"].low > 0
    assert found["other"].p == pytest.approx(sign_test(12, 2))
    assert found["other"].p_corrected == found["other"].p


def test_rows_of_one_prompt_are_one_trial() -> None:
    """Nine copies of a row are no more evidence than one."""
    rng = np.random.default_rng(0)
    base, other = (rng.random(60) < share for share in (0.5, 0.8))
    once = compare({"b": base * 1.0, "o": other * 1.0}, np.arange(60), "b")["o"]
    copies = compare({"b": np.repeat(base, 9) * 1.0, "o": np.repeat(other, 9) * 1.0}, np.repeat(np.arange(60), 9), "b")[
        "o"
    ]
    assert (copies.better, copies.worse, copies.p) == (once.better, once.worse, once.p)
    assert copies.low == pytest.approx(once.low)


def test_shares_that_round_are_no_difference() -> None:
    thirds = np.array([1 / 3, 1 / 3, 1 / 3, 0.0, 0.0, 0.0])
    found = compare({"b": thirds, "o": thirds[::-1] + 1e-17}, np.zeros(6, dtype=np.int64), "b")["o"]
    assert (found.better, found.worse, found.p) == (0, 0, 1.0)


def test_a_rule_that_left_rows_out_is_compared_on_the_others() -> None:
    base = np.array([1.0, 1.0, 0.0, 0.0])
    partial = np.array([1.0, np.nan, 1.0, np.nan])
    found = compare({"base": base, "partial": partial, "none": np.full(4, np.nan)}, np.arange(4), "base")
    assert list(found) == ["partial"]
    assert (found["partial"].rows, found["partial"].better, found["partial"].worse) == (2, 1, 0)
    assert found["partial"].lead == pytest.approx(0.5)


def test_rules_that_are_equally_good_are_rarely_found_to_differ() -> None:
    false_alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        outcomes = {f"rule{number}": (rng.random(150) < 0.7) * 1.0 for number in range(5)}
        found = compare(outcomes, np.arange(150), "rule0", seed)
        false_alarms += any(comparison.p_corrected < 0.05 for comparison in found.values())
    assert false_alarms <= 7  # 5 % are 3; the chance of more than 7 is under 1 %
