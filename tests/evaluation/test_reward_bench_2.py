"""RewardBench 2: the best of four, and the score of Ties as the benchmark's own published code computes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.suites.reward_bench_2 import SUBSETS
from extract.sources import reward_bench_2
from tests.evaluation.lines import Row, scored

CASES = json.loads((Path(__file__).parent / "data" / "rewardbench2_ties.json").read_text())
"""Random scores of Ties, and what `process_single_model` of allenai/reward-bench makes of them."""


def ties(rows: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {row["id"]: dict(zip(("tie", "number"), row["id"].split(":"), strict=True)) for row in rows}
    split = [
        ("Ties", row["id"], row["scores"][: row["num_correct"]], row["scores"][row["num_correct"] :]) for row in rows
    ]
    return scored("rewardbench2", split, metadata)


@pytest.mark.parametrize("case", CASES, ids=[f"{number}" for number in range(len(CASES))])
def test_ties_equal_the_benchmarks_own_code(case: dict[str, Any]) -> None:
    result = ties(case["rows"])
    assert result.score == pytest.approx(case["score"], abs=1e-12)
    assert result.subsets["Ties"].rows == len(case["rows"])
    assert result.score_low <= result.score_high


def test_a_relative_gap_of_nothing_over_nothing_is_zero() -> None:
    result = ties(
        [
            {"id": "ref:0", "num_correct": 1, "scores": [1.0, 1.0]},
            {"id": "tied:0", "num_correct": 2, "scores": [1.0, 1.0, 1.0]},
        ]
    )
    assert result.score == 0.0
    assert result.extra["terms of Ties"]["relative gap"].value == 0.0


def test_right_answers_without_spread_give_the_whole_relative_gap() -> None:
    result = ties(
        [
            {"id": "ref:7", "num_correct": 1, "scores": [2.0, 1.0]},
            {"id": "tied:7", "num_correct": 3, "scores": [1.0, 1.0, 1.0, 0.5]},
        ]
    )
    assert result.score == pytest.approx(0.3 + 0.3 + 0.2 + 0.2 + 0.01)


def test_a_question_of_which_one_form_is_missing_counts_in_the_accuracy_of_the_other_alone() -> None:
    whole = [
        {"id": "ref:0", "num_correct": 1, "scores": [2.0, 1.0]},
        {"id": "tied:0", "num_correct": 2, "scores": [2.0, 1.5, 0.0]},
    ]
    with_more = ties([*whole, {"id": "ref:1", "num_correct": 1, "scores": [0.0, 1.0]}])
    terms = {name: figure.value for name, figure in with_more.extra["terms of Ties"].items()}
    assert terms["reference accuracy"] == 0.5
    assert terms["tied accuracy"] == terms["gap over spread"] == terms["narrower gap over spread"] == 1.0
    alone = ties([{"id": "ref:1", "num_correct": 1, "scores": [2.0, 1.0]}])
    assert alone.score == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("chosen", "rejected", "point"),
    [
        (2.0, [1.0, 0.0, -1.0], 1.0),
        (2.0, [2.0, 0.0, -1.0], 1 / 2),
        (2.0, [2.0, 2.0, -1.0], 1 / 3),
        (2.0, [2.0, 2.0, 2.0], 1 / 4),
        (2.0, [3.0, 0.0, -1.0], 0.0),
    ],
)
def test_a_tie_for_the_top_of_four_shares_the_point(chosen: float, rejected: list[float], point: float) -> None:
    assert scored("rewardbench2", [("Math", "0", [chosen], rejected)]).score == pytest.approx(point)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6))
def test_the_best_of_four_agrees_with_the_formula_of_the_benchmarks_code(rows: list[list[int]]) -> None:
    expected = []
    for scores in rows:
        highest = np.max(scores)
        expected.append(1 / np.sum(np.asarray(scores) == highest) if scores[0] == highest else 0)
    made: list[Row] = [("Focus", str(number), row[:1], row[1:]) for number, row in enumerate(rows)]
    assert scored("rewardbench2", made).sections["Focus"] == pytest.approx(np.mean(expected))


def test_the_score_is_the_plain_mean_of_the_subsets_that_are_there() -> None:
    rows: list[Row] = [("Math", str(number), [1.0], [0.0] * 3) for number in range(9)]
    rows += [("Safety", "0", [0.0], [1.0] * 3), ("Focus", "0", [1.0], [1.0, 0.0, 0.0])]
    result = scored("rewardbench2", rows)
    assert result.sections == {"Math": 1.0, "Safety": 0.0, "Focus": 0.5}
    assert result.score == pytest.approx(0.5)
    assert result.missing_subsets == ("Factuality", "Precise IF", "Ties")


def test_the_subsets_read_are_the_subsets_scored() -> None:
    assert SUBSETS == reward_bench_2.SUBSETS
