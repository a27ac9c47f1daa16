"""M-RewardBench: RewardBench translated into 23 languages.

A language's figure is the mean of its sections, each by RewardBench's subset weights (the benchmark's
scripts/run_rewardbench.py takes sections by RewardBench's counts and mapping), and the score the mean of the
languages (`Avg_Multilingual` in its plots). Its published tables do not say whether a language's figure is the mean
of its sections or the accuracy over all of its rows; neither could be confirmed, so both are in the result. The
pairs of translations (config `translation`) are not part of it. A subset is `language/subset of RewardBench`. A tie
is wrong. arXiv 2410.15522.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.outcomes import Rows
from evaluation.suites import reward_bench
from evaluation.suites.suite import Figures, Suite, accuracy_units, coded, from_metadata, mean_of
from evaluation.units import Figure, Totals, Units

SECTIONS = tuple(section for section in reward_bench.SECTIONS if section != reward_bench.PRIOR_SECTION)


def _units(rows: Rows, scores: NDArray[np.float64]) -> Units:
    """One unit for each row; the translations of one row of RewardBench are drawn together."""
    units = accuracy_units(rows, scores)
    _, stratum = coded(rows.table, pl.col("subset").str.split("/").list.last())
    _, original = coded(rows.table, pl.struct(pl.col("subset").str.split("/").list.last(), from_metadata("id")))
    return Units(units.subsets, units.subset, units.values, original, stratum)


def _figures(totals: Totals) -> Figures:
    by_language: dict[str, dict[str, Figure]] = {}
    for name in totals.subsets:
        language, _, subset = name.partition("/")
        by_language.setdefault(language, {})[subset] = totals.mean(name)
    scored = {language: reward_bench.score(subsets) for language, subsets in sorted(by_language.items())}
    sections = {}
    for section in SECTIONS:
        figures = {name: result.sections[section] for name, result in scored.items() if section in result.sections}
        if figures:
            sections[section] = mean_of(figures)
    languages = {name: result.score for name, result in scored.items()}
    pooled = {
        name: totals.pooled(subset for subset in totals.subsets if subset.startswith(f"{name}/")) for name in languages
    }
    subsets = {name: totals.mean(name) for name in totals.subsets}
    extra = {"languages": languages, "languages, over all rows": pooled | {"mean": mean_of(pooled)}}
    return Figures(mean_of(languages), sections, subsets, extra)


SUITE = Suite(
    name="m_rewardbench",
    title="M-RewardBench",
    sources=("m_reward_bench",),
    section=pl.col("subset").str.split("/").list.last().replace_strict(reward_bench.SECTION_OF),
    units=_units,
    figures=_figures,
    sections=SECTIONS,
    caption="The score is the mean of the languages, a section the mean over the languages. Ties are wrong.",
)
