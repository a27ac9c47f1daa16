"""Accuracy of the response that a rule picks out of k."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.best_of_n import best_of_n, contains_correct, selects_correct
from tests.evaluation.suite_frames import scored

RESPONSES = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=7)


@given(RESPONSES)
def test_the_curve_is_the_mean_over_all_subsets(responses: list[tuple[int, bool]]) -> None:
    scores, correct = (np.array(column) for column in zip(*responses, strict=True))
    curve, possible = selects_correct(scores[None].astype(float), correct[None])[0], contains_correct(correct[None])[0]
    for k in range(1, len(responses) + 1):
        subsets = [list(subset) for subset in combinations(range(len(responses)), k)]
        best = [correct[subset][scores[subset] == scores[subset].max()].mean() for subset in subsets]
        assert curve[k - 1] == pytest.approx(np.mean(best))
        assert possible[k - 1] == pytest.approx(np.mean([correct[subset].any() for subset in subsets]))


def test_the_curve_of_a_row_of_four_by_hand() -> None:
    frame = scored([{"chosen": [2.0], "rejected": [3.0, 1.0, 0.0]}])
    points = best_of_n(frame)
    # The chosen response is second: the best of k unless the first is drawn too.
    assert [point.k for point in points] == [1, 2, 3, 4]
    assert [point.selected["a"].accuracy for point in points] == pytest.approx([1 / 4, 2 / 6, 1 / 4, 0.0])
    assert [point.chance for point in points] == [0.25] * 4
    assert [point.possible for point in points] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1.0])


def test_a_row_counts_where_it_has_enough_responses() -> None:
    frame = scored([{"chosen": [1.0], "rejected": [0.0]}, {"chosen": [0.0], "rejected": [1.0, 2.0]}])
    assert [(point.k, point.rows) for point in best_of_n(frame)] == [(1, 2), (2, 2), (3, 1)]
    assert best_of_n(frame)[2].selected["a"].accuracy == 0.0


def test_rows_of_two_responses_have_no_curve() -> None:
    assert best_of_n(scored([{"chosen": [1.0], "rejected": [0.0]}])) == []


def test_a_rule_that_left_a_row_out_is_judged_on_the_others() -> None:
    frame = scored([{"chosen": [1.0], "rejected": [0.0, None]}, {"chosen": [1.0], "rejected": [0.0, 2.0]}])
    frame = frame.with_columns(pl.lit(0.0).alias("score.b"), pl.lit(None, pl.Float64).alias("score.none"))
    last = best_of_n(frame)[-1]
    assert last.selected["a"].accuracy == 0.0
    assert last.selected["b"].accuracy == pytest.approx(1 / 3)  # all equal: a random pick
    assert list(last.selected) == ["a", "b"]


def test_long_rows_have_some_points() -> None:
    frame = scored([{"chosen": [float(place) for place in range(40)], "rejected": [0.5] * 30}])
    assert [point.k for point in best_of_n(frame)] == [*range(1, 17), 32, 64, 70]
