"""A suite's table by every rule, each figure with its 95 % interval."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.bootstrap import Estimate
from evaluation.metrics import Accuracy, accuracy_of
from evaluation.outcomes import Rows, check_finite
from evaluation.results import Ends, RuleScore
from evaluation.suites.suite import Suite
from evaluation.units import Figure, Units, resampled, totals

ENDS = (2.5, 97.5)
"""Percentiles."""


def score_suite(
    suite: Suite, responses: pl.DataFrame, scores: Mapping[str, NDArray[np.float64]], seed: int = 0
) -> dict[str, RuleScore]:
    """Judge the rows of a suite by every rule.

    Intervals come from bootstrap draws of prompts inside subsets, the same draws for all rules. A subset in which no
    two rows share a prompt has a Wilson interval instead, which is valid for few rows too.

    Args:
        suite: the suite.
        responses: lines of the table of suites, without missing rows.
        scores: rule -> (lines,) finite.
        seed: seed of the draws.

    Returns:
        Rule -> its table.

    Raises:
        ValueError: a score is not finite, or a row does not have the responses that the suite compares.
    """
    every = np.stack(list(scores.values()), axis=-1)  # (lines, rules)
    check_finite(every)
    rows = Rows.of(responses)
    units = suite.units(rows, every)
    figures, drawn = suite.figures(totals(units)), suite.figures(resampled(units, seed=seed))
    tables = {title: _with_ends(table, drawn.extra[title]) for title, table in figures.extra.items()}
    scored = _with_ends({"score": figures.score}, {"score": drawn.score})["score"]
    sections = _with_ends(figures.sections, drawn.sections)
    plain = _plain(units)
    others = {name: figure for name, figure in figures.subsets.items() if name not in plain}
    subsets = _with_ends(others, {name: drawn.subsets[name] for name in others})
    counted = dict(rows.table.group_by(suite.subset.alias("name")).len().rows())
    missing = tuple(name for name in suite.subsets if name not in figures.subsets)

    def subset_of(name: str, number: int) -> Accuracy:
        if name in plain:
            return accuracy_of(plain[name][:, number])
        accuracy, low, high = subsets[name][number]
        return Accuracy(accuracy, counted[name], low, high)

    def of_rule(number: int) -> RuleScore:
        score, low, high = scored[number]
        return RuleScore(
            score=score,
            score_low=low,
            score_high=high,
            sections={name: values[number][0] for name, values in sections.items()},
            section_intervals={name: Ends(*values[number][1:]) for name, values in sections.items()},
            extra={
                title: {name: Estimate(*values[number]) for name, values in columns.items()}
                for title, columns in tables.items()
            },
            missing_subsets=missing,
            subsets={name: subset_of(name, number) for name in figures.subsets},
        )

    return {rule: of_rule(number) for number, rule in enumerate(scores)}


Triple = tuple[float, float, float]
"""A figure and the ends of its interval."""


def _with_ends(figures: Mapping[str, Figure], drawn: Mapping[str, Figure]) -> dict[str, list[Triple]]:
    """Each figure with its interval, rule by rule; draws in which a figure is not defined are skipped."""
    result = {}
    for name, figure in figures.items():
        values = drawn[name][~np.isnan(drawn[name][:, 0])]  # (draws, rules)
        ends = np.percentile(values, ENDS, axis=0) if len(values) else np.full((2, len(figure)), np.nan)
        low, high = ends  # (rules,) each
        result[name] = list(zip(figure.tolist(), low.tolist(), high.tolist(), strict=True))
    return result


def _plain(units: Units) -> dict[str, NDArray[np.bool_]]:
    """Subset -> (units, rules) outcomes, for subsets whose units are right or wrong and share no prompt."""
    plain = {}
    for number, name in enumerate(units.subsets):
        mask = units.subset == number  # (units,)
        values = units.values[mask]  # (members, cells, rules)
        first = values[:, 0]
        binary = np.isin(first, (0.0, 1.0)).all() and np.isnan(values[:, 1:]).all()
        if binary and len(np.unique(units.cluster[mask])) == len(first):
            plain[name] = first.astype(bool)
    return plain
