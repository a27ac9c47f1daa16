"""Losses of a score difference for a preference, a tie, and a pair whose margin is known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid, softplus

from gating.training.preference_loss import bradley_terry_ties

NONE = torch.zeros(())


def ties(difference: float, threshold: float, tied: bool) -> float:
    """The loss of one pair, in float64."""
    return float(
        bradley_terry_ties(
            torch.tensor([difference], dtype=torch.float64),
            NONE,
            torch.tensor([tied]),
            torch.tensor(threshold, dtype=torch.float64),
        )
    )


@given(st.floats(-20, 20), st.floats(1e-3, 5))
def test_win_loss_and_tie_are_all_that_can_happen(difference: float, threshold: float) -> None:
    win, loss = ties(difference, threshold, False), ties(-difference, threshold, False)
    assert math.exp(-win) + math.exp(-loss) + math.exp(-ties(difference, threshold, True)) == pytest.approx(1.0)


def test_the_model_with_ties_by_hand() -> None:
    # Rao and Kupper with theta = 2 and strengths 3 and 1: 3/(3 + 2), 1/(1 + 6), (4 - 1) 3 / ((3 + 2)(1 + 6))
    difference, threshold = math.log(3), math.log(2)
    assert math.exp(-ties(difference, threshold, False)) == pytest.approx(3 / 5)
    assert math.exp(-ties(-difference, threshold, False)) == pytest.approx(1 / 7)
    assert math.exp(-ties(difference, threshold, True)) == pytest.approx(9 / 35)


def test_an_even_match_is_the_likeliest_tie() -> None:
    assert ties(0.0, 0.5, True) < min(ties(0.1, 0.5, True), ties(-0.1, 0.5, True))


def test_without_ties_it_is_bradley_terry() -> None:
    difference = torch.linspace(-5, 5, 11)
    torch.testing.assert_close(bradley_terry_ties(difference, NONE, None, NONE), -logsigmoid(difference))


def test_a_margin_asks_for_so_much_difference() -> None:
    difference, margin = torch.tensor([2.0, 2.0]), torch.tensor([0.0, 1.5])
    torch.testing.assert_close(bradley_terry_ties(difference, margin, None, NONE), softplus(torch.tensor([-2.0, -0.5])))


def test_smoothing_mixes_in_the_other_label() -> None:
    difference = torch.tensor([3.0])
    smoothed = bradley_terry_ties(difference, NONE, None, NONE, 0.1)
    torch.testing.assert_close(smoothed, 0.9 * softplus(-difference) + 0.1 * softplus(difference))


def test_with_smoothing_certainty_does_not_pay() -> None:
    losses = bradley_terry_ties(torch.tensor([1.0, 2.2, 8.0]), NONE, None, NONE, 0.1)
    assert losses.argmin() == 1  # log 9 = 2.197 is where sigmoid is 0.9


def test_a_tie_is_not_asked_for_a_margin() -> None:
    tied, threshold = torch.tensor([True]), torch.tensor(0.7)
    one, other = (
        bradley_terry_ties(torch.tensor([0.3]), torch.tensor([margin]), tied, threshold) for margin in (0.0, 4.0)
    )
    assert torch.equal(one, other)


@given(st.floats(-100, 100), st.floats(1e-4, 30), st.booleans())
def test_the_loss_is_finite_in_float32(difference: float, threshold: float, tied: bool) -> None:
    loss = bradley_terry_ties(torch.tensor([difference]), NONE, torch.tensor([tied]), torch.tensor(threshold))
    assert torch.isfinite(loss).all()
