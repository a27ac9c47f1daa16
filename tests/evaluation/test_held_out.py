"""Pairs that say the opposite of the ratings."""

from evaluation.held_out import contradiction
from gating.results import Interval, RuleMetrics


def judged(accuracy: float, low: float, high: float) -> RuleMetrics:
    return RuleMetrics(accuracy, low, high, Interval(0.0, 0.0, 0.0), None)


def test_equal_weights_that_are_surely_worse_than_a_coin_are_warned_about() -> None:
    said = contradiction({"uniform": judged(0.31, 0.25, 0.38)})
    assert said is not None
    assert said.startswith("equal weights judge 31% of the held-out pairs right")
    assert "check which side of each pair set is the chosen one" in said


def test_equal_weights_that_may_be_a_coin_are_not_warned_about() -> None:
    assert contradiction({"uniform": judged(0.48, 0.43, 0.53)}) is None
