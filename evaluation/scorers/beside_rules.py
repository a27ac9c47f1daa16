"""Scores of other scorers on the rows that a run judged: joined to them, and judged as the suite judges rules."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.columns import ROW, TEXT
from evaluation.results import RuleScore
from evaluation.scorers.scorer import SuiteScores
from evaluation.scoring import score_suite
from evaluation.suites.suite import Suite

log = logging.getLogger(__name__)


def scores_of(scorers: Iterable[SuiteScores], judged: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Scorer -> its scores (lines,) of the judged responses, NaN where it has none.

    A scorer without any score is skipped, with a line in the log.
    """
    scores = {}
    for scorer in scorers:
        joined = judged.select(TEXT).join(
            scorer.table.select(*TEXT, "score"), on=TEXT, how="left", maintain_order="left"
        )
        values = joined["score"].fill_null(float("nan")).to_numpy()
        if np.isnan(values).all():
            name, suite = scorer.about.name, scorer.about.suite
            log.warning("%s scored none of these rows of %s: run `armorm score-suite` again", name, suite)
        else:
            scores[scorer.about.name] = values
    return scores


def tables_of(suite: Suite, judged: pl.DataFrame, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, RuleScore]:
    """Scorer -> the suite's table over the rows of which it scored every response, and the number of other rows.

    A row that a scorer skipped counts neither way, as a row without features does.

    Args:
        suite: the suite.
        judged: lines of the table of suites without missing rows.
        scores: scorer -> (lines,) NaN where it gave no score.
    """
    tables = {}
    for name, values in scores.items():
        whole = judged.with_columns(whole=pl.Series(~np.isnan(values))).select(pl.col("whole").all().over(ROW))
        rows = whole["whole"].to_numpy()  # (lines,)
        if rows.any():
            table = score_suite(suite, judged.filter(pl.Series(rows)), {name: values[rows]})[name]
            tables[name] = replace(table, skipped=judged.filter(pl.Series(~rows)).unique(ROW).height)
        else:
            log.warning("%s is skipped: it scored no whole row of %s", name, suite.name)
    return tables
