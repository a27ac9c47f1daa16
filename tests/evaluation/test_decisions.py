"""Decisions that may be left open, by the probability and by the gap alone."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from evaluation.analysis import analyse_suite
from evaluation.decisions import decisions
from evaluation.pairs import pairs_of
from tests.evaluation.suite_frames import random_pairs, scored

Real = NDArray[np.float64]


def planted(seed: int, n: int = 2000) -> tuple[Real, Real]:
    """Gaps and their standard errors, where the probability Phi(gap / error) holds."""
    rng = np.random.default_rng(seed)
    std = rng.choice([0.2, 1.0, 5.0], n)
    margins = 3.0 * std * rng.random(n) * rng.choice([0.3, 1.0], n)
    return np.where(rng.random(n) < ndtr(margins / std), margins, -margins), std


def test_errors_that_hold_know_more_than_the_gap() -> None:
    gaps, std = planted(0)
    found = decisions(gaps, std, np.arange(len(gaps)), temperature=1.0)
    assert found is not None
    assert found.error.value == pytest.approx((gaps < 0).mean())
    assert found.by_probability.area.value < found.by_gap.area.value < found.error.value
    assert found.gain.low > 0.02
    assert found.gain.value == pytest.approx(found.by_gap.area.value - found.by_probability.area.value)
    assert found.calibration.expected_error.value < 0.03
    assert found.calibration.temperature is None
    sure = found.confident_by_probability
    decided = ndtr(np.abs(gaps) / std) > 0.9
    assert sure.decided.value == pytest.approx(decided.mean())
    assert sure.mistakes.value == pytest.approx((gaps[decided] < 0).mean())
    assert sure.mistakes.high < 0.1
    # The gap is sure of pairs with large errors too.
    assert found.confident_by_gap.mistakes.low > sure.mistakes.high
    for way in (found.by_gap, found.by_probability):
        assert way.excess.value < way.area.value
        assert way.risk[-1] == pytest.approx(found.error.value)


def test_errors_that_are_all_alike_add_nothing() -> None:
    gaps, _ = planted(1)
    found = decisions(gaps, np.full(len(gaps), 0.7), np.arange(len(gaps)), None)
    assert found is not None
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert found.confident_by_gap is None


def test_errors_that_tell_nothing_are_said_to_add_nothing_or_less() -> None:
    gaps, std = planted(2)
    shuffled = np.random.default_rng(2).permutation(std)
    found = decisions(gaps * np.median(std) / std, shuffled, np.arange(len(gaps)), None)
    assert found is not None
    assert found.gain.high < 0.0


def test_a_tie_is_half_wrong_and_the_first_to_be_left_open() -> None:
    found = decisions(np.array([0.0, 1.0, 2.0, -3.0]), np.array([1.0, 1.0, 1.0, 10.0]), np.arange(4), None)
    assert found is not None
    assert found.error.value == pytest.approx(1.5 / 4)
    assert found.by_gap.area.value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1.5 / 4) / 4)
    assert found.by_probability.area.value == pytest.approx((0 + 0 + 1 / 3 + 1.5 / 4) / 4)


def test_a_rule_without_errors_has_the_gap_alone() -> None:
    gaps, std = planted(3, n=200)
    without = decisions(gaps, np.full(200, np.nan), np.arange(200), 1.0)
    with_errors = decisions(gaps, std, np.arange(200), 1.0)
    assert without is not None
    assert with_errors is not None
    assert without.by_gap == with_errors.by_gap
    assert (without.by_probability, without.confident_by_probability, without.gain, without.calibration) == (None,) * 4
    assert decisions(np.full(3, np.nan), np.full(3, np.nan), np.arange(3), None) is None


def test_the_errors_of_a_pair_are_found_in_the_list_of_its_chosen_response() -> None:
    frame = scored([{"chosen": [3.0, 4.0], "rejected": [1.0]}, {"chosen": [5.0], "rejected": [6.0, 7.0]}])
    margins = [[0.0, 0.1, 0.2], [0.1, 0.0, 0.3], [0.2, 0.3, 0.0], [0.0, 0.4, 0.5], [0.4, 0.0, 0.6], [0.5, 0.6, 0.0]]
    interleaved = frame.with_columns(pl.Series("margin_std.a", margins))[[0, 3, 1, 4, 5, 2]]
    pairs = pairs_of(interleaved.with_columns(pl.lit(1.0).alias("score.b")))
    found = {(float(gap), round(float(std), 3)) for gap, std in zip(pairs.of("a"), pairs.std_of("a"), strict=True)}
    assert found == {(2.0, 0.2), (3.0, 0.3), (-1.0, 0.4), (-2.0, 0.5)}
    assert np.isnan(pairs.std_of("b")).all()


def test_an_analysis_has_decisions_of_rules_with_errors_and_without() -> None:
    frame = random_pairs(np.random.default_rng(4), 80)
    margins = [values for std in np.linspace(0.1, 2.0, 80) for values in ([0.0, std], [std, 0.0])]
    frame = frame.with_columns(
        pl.Series("score_std.a", [0.5] * len(frame)),
        pl.Series("margin_std.a", margins, dtype=pl.List(pl.Float32)),
        pl.lit(None, pl.Float64).alias("score.c"),
    )
    found = analyse_suite("own", frame, {"a": 1.0}, "a").rules
    assert found["a"].decisions.pairs == 80
    assert found["a"].decisions.gain is not None
    assert found["b"].decisions.gain is None
    assert found["b"].decisions.error.value == pytest.approx(1.0 - found["b"].pairs_right.accuracy)
    assert found["c"].decisions is None
