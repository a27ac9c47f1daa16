"""Rows of one's own: each set is a section, over all of its rows."""

import numpy as np
import polars as pl
import pytest

from evaluation.scoring import score_suite
from evaluation.suites import SUITES
from tests.evaluation.lines import Row, lines_of


def test_every_set_is_a_section_and_the_score_their_mean() -> None:
    mine: list[Row] = [("all", "0", [1.0], [0.0]), ("all", "1", [0.0], [1.0]), ("hard", "2", [1.0, 2.0], [0.0, 0.5])]
    theirs: list[Row] = [("all", "0", [0.0], [1.0])]
    (first, one), (second, two) = lines_of(mine, suite="mine"), lines_of(theirs, suite="theirs")
    result = score_suite(SUITES["own"], pl.concat([first, second]), {"rule": np.concatenate([one, two])})["rule"]
    assert result.sections == pytest.approx({"mine": 2 / 3, "theirs": 0.0})
    assert result.score == pytest.approx(1 / 3)
    assert {name: subset.rows for name, subset in result.subsets.items()} == {
        "mine/all": 2,
        "mine/hard": 1,
        "theirs/all": 1,
    }
