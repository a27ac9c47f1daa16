"""Whether a rule prefers the response with more marks of style."""

import polars as pl
import pytest

from evaluation.analysis import analyse_suite
from evaluation.length_bias import style_bias
from evaluation.pairs import pairs_of
from extract.style import STYLE
from tests.evaluation.suite_frames import scored

ROWS = [{"chosen": [1.0], "rejected": [0.0]}] * 3 + [{"chosen": [0.0], "rejected": [1.0]}] * 2
LISTS = [9, 1, 1, 9, 5, 5, 1, 9, 9, 1]


def test_pairs_are_sliced_by_which_response_has_more_marks() -> None:
    bias = style_bias(pairs_of(scored(ROWS, lists=LISTS)))["a"]
    assert list(bias) == list(STYLE)
    found = bias["lists"]
    assert {name: (part.pairs, part.right.accuracy) for name, part in found.slices.items()} == {
        "chosen_more": (2, 0.5),
        "chosen_fewer": (2, 0.5),
        "same_number": (1, 1.0),
    }
    assert found.prefers_more is not None
    assert (found.prefers_more.accuracy, found.chosen_more) == (0.5, 0.5)
    assert list(bias["markdown"].slices) == ["same_number"]
    assert bias["markdown"].prefers_more is bias["markdown"].chosen_more is None


def test_a_rule_that_counts_marks_prefers_more_of_them_always() -> None:
    frame = scored(ROWS, lists=LISTS).with_columns(pl.col("lists").cast(pl.Float64).alias("score.count"))
    found = style_bias(pairs_of(frame))["count"]["lists"]
    assert found.slices["chosen_more"].right.accuracy == 1.0
    assert found.slices["chosen_fewer"].right.accuracy == 0.0
    assert found.prefers_more is not None
    assert found.prefers_more.accuracy == 1.0


def test_a_rule_that_scored_a_part_is_judged_on_that_part() -> None:
    half = pl.when(pl.int_range(pl.len()) < 4).then("score.a").alias("score.half")
    frame = scored(ROWS, lists=LISTS).with_columns(half, pl.lit(None).alias("score.none"))
    biases = style_bias(pairs_of(frame))
    assert list(biases) == ["a", "half"]
    assert sum(part.pairs for part in biases["half"]["lists"].slices.values()) == 2


def test_the_analysis_of_a_suite_has_the_slices_of_every_rule() -> None:
    analysis = analyse_suite("s", scored(ROWS, lists=LISTS), {"a": 1.0}, "a")
    assert analysis.rules["a"].style["lists"].slices["chosen_more"].right.accuracy == pytest.approx(0.5)
