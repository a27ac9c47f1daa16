"""From scores of responses to rows judged right or wrong."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.judged import Outcomes, judge

Line = tuple[str, str, bool, float]
"""Subset, row, whether chosen, score."""


def judged(lines: Sequence[Line], suite: str = "reward_bench") -> Outcomes:
    responses = pl.DataFrame(
        [(suite, subset, row, chosen) for subset, row, chosen, _ in lines],
        schema={"suite": pl.String, "subset": pl.String, "row": pl.String, "chosen": pl.Boolean},
        orient="row",
    )
    return judge(responses, np.asarray([line[-1] for line in lines], dtype=np.float64))


def verdict(chosen: Sequence[float], rejected: Sequence[float]) -> bool:
    """Lines of one row."""
    lines = [("a", "0", True, score) for score in chosen] + [("a", "0", False, score) for score in rejected]
    (right,) = judged(lines).right
    return bool(right)


def test_the_higher_chosen_response_is_right() -> None:
    assert verdict([1.0], [0.5])
    assert not verdict([0.5], [1.0])


def test_a_tie_is_wrong() -> None:
    assert not verdict([0.5], [0.5])
    assert not verdict([0.0], [-0.0])


def test_the_smallest_difference_decides() -> None:
    assert verdict([np.nextafter(0.5, 1)], [0.5])


@pytest.mark.parametrize(
    ("chosen", "rejected", "right"),
    [
        ([2.0], [1.0, 0.0, -1.0], True),
        ([2.0], [1.0, 3.0, -1.0], False),
        ([2.0], [1.0, 2.0, -1.0], False),
        ([2.0, 3.0], [1.0], True),
        ([2.0, 0.0], [1.0], False),
        ([2.0, 3.0], [1.0, 1.5], True),
        ([2.0, 1.5], [1.0, 1.5], False),
    ],
)
def test_every_chosen_response_must_beat_every_rejected_one(
    chosen: list[float], rejected: list[float], right: bool
) -> None:
    assert verdict(chosen, rejected) is right


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=4),
    st.lists(st.floats(-5, 5), min_size=1, max_size=4),
)
def test_it_agrees_with_comparing_all_pairs(chosen: list[float], rejected: list[float]) -> None:
    assert verdict(chosen, rejected) == all(good > bad for good in chosen for bad in rejected)


def test_rows_keep_their_order_whatever_the_order_of_their_responses() -> None:
    outcomes = judged(
        [
            ("b", "7", False, 0.0),
            ("a", "2", True, 1.0),
            ("b", "7", True, 1.0),
            ("b", "1", True, 0.0),
            ("a", "2", False, 2.0),
            ("b", "1", False, -1.0),
        ]
    )
    assert outcomes.subsets.tolist() == ["b", "a", "b"]
    assert outcomes.right.tolist() == [True, False, True]


def test_outcomes_are_given_by_subset() -> None:
    outcomes = judged(
        [
            ("hard", "0", True, 1.0),
            ("hard", "0", False, 0.0),
            ("easy", "1", True, 1.0),
            ("easy", "1", False, 0.0),
            ("hard", "2", True, 0.0),
            ("hard", "2", False, 0.0),
        ]
    )
    by_subset = {subset: right.tolist() for subset, right in outcomes.by_subset().items()}
    assert by_subset == {"hard": [True, False], "easy": [True]}
    assert list(by_subset) == ["hard", "easy"]


def test_rows_of_the_same_name_in_two_subsets_or_suites_are_two_rows() -> None:
    two_subsets = judged([("a", "0", True, 1.0), ("a", "0", False, 0.0), ("b", "0", True, 0.0), ("b", "0", False, 1.0)])
    assert two_subsets.right.tolist() == [True, False]
    responses = pl.DataFrame(
        {"suite": ["s", "s", "t", "t"], "subset": ["a"] * 4, "row": ["0"] * 4, "chosen": [True, False] * 2}
    )
    assert judge(responses, np.array([1.0, 0.0, 0.0, 1.0])).right.tolist() == [True, False]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        verdict([1.0], [bad])


@pytest.mark.parametrize(("chosen", "rejected"), [([1.0], []), ([], [1.0])])
def test_a_row_without_a_chosen_or_a_rejected_response_is_refused(chosen: list[float], rejected: list[float]) -> None:
    with pytest.raises(ValueError, match="row"):
        verdict(chosen, rejected)
