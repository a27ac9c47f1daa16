"""Custom suites: rows of prompt, chosen and rejected responses.

A row counts if every chosen response scores above every rejected one; a tie is wrong. Every set of the recipe is a
section, and its accuracy is over all of its rows; the score is the mean of the sets.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.outcomes import Rows
from evaluation.suites.suite import Figures, Suite, accuracy_units, mean_of
from evaluation.units import Totals, Units

SEPARATOR = "/"
"""Separates a set's name, which does not contain it, from a subset."""


def _units(rows: Rows, scores: NDArray[np.float64]) -> Units:
    return accuracy_units(rows, scores, SUITE.subset)


def _figures(totals: Totals) -> Figures:
    sets = dict.fromkeys(name.partition(SEPARATOR)[0] for name in totals.subsets)
    sections = {
        name: totals.pooled(subset for subset in totals.subsets if subset.partition(SEPARATOR)[0] == name)
        for name in sets
    }
    return Figures(mean_of(sections), sections, {name: totals.mean(name) for name in totals.subsets})


SUITE = Suite(
    name="own",
    title="custom suite",
    sources=("preference_suite",),
    subset=pl.concat_str("suite", "subset", separator=SEPARATOR),
    section=pl.col("suite"),
    units=_units,
    figures=_figures,
    caption="The score is the mean of the sets. Ties are wrong.",
)
