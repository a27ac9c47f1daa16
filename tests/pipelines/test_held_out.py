"""Pairs that say the opposite of the ratings."""

from pipelines.held_out import contradiction


def test_equal_weights_that_are_surely_worse_than_a_coin_are_warned_about() -> None:
    said = contradiction({"uniform": {"accuracy": 0.31, "low": 0.25, "high": 0.38}})
    assert said is not None
    assert said.startswith("equal weights judge 31% of the held-out pairs right")
    assert "check which side of each pair set is the chosen one" in said


def test_equal_weights_that_may_be_a_coin_are_not_warned_about() -> None:
    assert contradiction({"uniform": {"accuracy": 0.48, "low": 0.43, "high": 0.53}}) is None
