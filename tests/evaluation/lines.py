"""Rows of a suite as lines of the table of suites, with one score each, for the tests of suites."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.results import RuleScore
from evaluation.scoring import score_suite
from evaluation.suites import SUITES

Row = tuple[str, str, Sequence[float], Sequence[float]]
"""Subset, name, scores of the chosen and of the rejected responses."""


def lines_of(
    rows: Sequence[Row], metadata: Mapping[str, dict[str, str]] | None = None, suite: str = "set"
) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """The table, each row with a prompt of its own, and the scores of its lines."""
    lines, scores = [], []
    for subset, name, chosen, rejected in rows:
        about = json.dumps((metadata or {}).get(name, {}))
        for side, values in ((True, chosen), (False, rejected)):
            for place, score in enumerate(values):
                lines.append((suite, subset, name, f"{subset} {name}".encode(), side, place, about))
                scores.append(score)
    schema = {
        "suite": pl.String,
        "subset": pl.String,
        "row": pl.String,
        "prompt_key": pl.Binary,
        "chosen": pl.Boolean,
        "place": pl.Int32,
        "metadata": pl.String,
    }
    return pl.DataFrame(lines, schema=schema, orient="row"), np.asarray(scores, dtype=np.float64)


def scored(suite: str, rows: Sequence[Row], metadata: Mapping[str, dict[str, str]] | None = None) -> RuleScore:
    """The suite's table of one rule."""
    lines, scores = lines_of(rows, metadata)
    return score_suite(SUITES[suite], lines, {"rule": scores})["rule"]
