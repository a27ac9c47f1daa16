"""A suite judged by everything that scored its responses, from stored features and scores."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import key_column
from cache.names import FileName
from evaluation.columns import REWARD, ROW
from evaluation.results import MissingRow, RuleScore, SectionScores
from evaluation.results import Suite as SuiteResult
from evaluation.scoring import score_suite
from evaluation.suites.suite import Suite
from gating.collapse import GateSummary, summarise
from gating.rules.rule import Responses, Scores


def with_features(store: FeatureStore, table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[MissingRow, ...]]:
    """The lines of rows that can be judged, and the rows that cannot.

    A row cannot be judged where extraction skipped it, or where the store lacks a feature of any of its responses.

    Args:
        store: the features.
        table: lines of the table of suites.
    """
    present = table.filter(pl.col("missing").is_null())
    lacking = np.zeros(len(present), dtype=bool)  # (lines,)
    for column in ("prompt_key", "response_key"):
        lacking |= store.missing(key_column(present[column]))
    without = present.filter(pl.Series(lacking)).unique(ROW, maintain_order=True)
    without = without.with_columns(missing=pl.lit("its features are not in the store"))
    judged = present.join(without.select(ROW), on=ROW, how="anti", maintain_order="left")
    missing = pl.concat([table.filter(pl.col("missing").is_not_null()), without]).select(*ROW, "missing")
    return judged, tuple(MissingRow(*row) for row in missing.iter_rows())


def judge_suite(
    suite: Suite,
    judged: pl.DataFrame,
    missing: tuple[MissingRow, ...],
    scores: Mapping[str, Scores],
    scorers: Mapping[str, RuleScore],
    responses: Responses,
    objectives: tuple[str, ...],
    note: str = "",
) -> SuiteResult:
    """A suite's tables by every rule and every objective alone, and the gate's weights in its sections.

    Args:
        suite: the suite.
        judged: lines of the table of suites without missing rows, with `section`.
        missing: rows that could not be judged.
        scores: rule or pairwise head -> (lines,) finite.
        scorers: other scorer -> its table.
        responses: rewards and gate weights of the same lines.
        objectives: names of the k rewards and weights.
        note: the recipe's.

    Returns:
        The result, whose `seconds` is 0: the caller knows when it began.
    """
    # The prefix keeps an objective that is called like a rule apart from it.
    alone = {REWARD + name: responses.rewards[:, number].astype(np.float64) for number, name in enumerate(objectives)}
    scored = score_suite(suite, judged, {**scores, **alone})
    return SuiteResult(
        suite=FileName(suite.name),
        title=suite.title,
        note=note,
        rows=judged.unique(ROW).height,
        missing=len(missing),
        missing_rows=missing,
        rules={name: scored[name] for name in scores} | dict(scorers),
        single_objectives={name: _sections_of(scored[REWARD + name]) for name in objectives},
        gate_by_section=gate_by_section(suite, judged, responses, objectives),
        gate_summary_by_section=gate_summary_by_section(suite, judged, responses, objectives),
        seconds=0.0,
    )


def gate_by_section(
    suite: Suite, judged: pl.DataFrame, responses: Responses, objectives: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Section -> objective -> mean part of the gate's weight over the section's rows, the largest first."""
    by_section: dict[str, dict[str, float]] = {}
    for section, rows in _rows_by_section(suite, judged).items():
        parts = responses.weights[rows] / responses.weights[rows].sum(axis=-1, keepdims=True)  # (rows, k)
        mean = parts.mean(axis=0)  # (k,)
        order = np.argsort(-mean, kind="stable")
        by_section[section] = {objectives[number]: float(mean[number]) for number in order}
    return by_section


def gate_summary_by_section(
    suite: Suite, judged: pl.DataFrame, responses: Responses, objectives: tuple[str, ...]
) -> dict[str, GateSummary]:
    """Section -> summary of the gate's weights over the section's rows."""
    return {
        section: summarise(responses.weights[rows], objectives)
        for section, rows in _rows_by_section(suite, judged).items()
    }


def _sections_of(scored: RuleScore) -> SectionScores:
    return SectionScores(scored.score, scored.score_low, scored.score_high, scored.sections, scored.section_intervals)


def _rows_by_section(suite: Suite, judged: pl.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Section -> the first line of each of its rows; the sections that have any."""
    section = judged["section"].to_numpy()
    first = (judged["chosen"] & (judged["place"] == 0)).to_numpy()
    rows = {name: np.flatnonzero(first & (section == name)) for name in suite.sections or dict.fromkeys(section)}
    return {name: lines for name, lines in rows.items() if len(lines)}
