"""M-RewardBench: RewardBench translated into 23 languages.

A language's figure is the mean of its four sections, and the score the mean of the languages. The authors weight the
subsets of a section in two ways. Their leaderboard (`Avg_Multilingual` of analysis/_plot_leaderboard.py, by
`get_scores` of analysis/plot_utils.py) takes the number of rows that a language has in each subset, math-prm as many as
RewardBench gives it; so does the score here. Their script for generative models (scripts/run_generative.py) takes
RewardBench's own counts; the languages by those are a further table. The pairs of translations (config `translation`)
are not part of it. A subset is `language/subset of RewardBench`. A tie is wrong. arXiv 2410.15522.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluation.outcomes import Rows
from evaluation.suites import reward_bench
from evaluation.suites.suite import Figures, Suite, accuracy_units, coded, from_metadata, mean_of
from evaluation.units import Figure, Totals, Units

SECTIONS: dict[str, dict[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 79,
        "alpacaeval-length": 79,
        "alpacaeval-hard": 76,
        "mt-bench-easy": 24,
        "mt-bench-med": 38,
    },
    "Chat Hard": {
        "mt-bench-hard": 35,
        "llmbar-natural": 76,
        "llmbar-adver-neighbor": 124,
        "llmbar-adver-GPTInst": 87,
        "llmbar-adver-GPTOut": 42,
        "llmbar-adver-manual": 43,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 247,
        "donotanswer": 135,
    },
    "Reasoning": {
        "math-prm": 983,
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 163,
        "hep-rust": 164,
    },
}
"""Section -> subset -> weight inside the section: the rows of a language, but for math-prm, which has 447."""


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
    scored = {language: reward_bench.score(subsets, SECTIONS) for language, subsets in sorted(by_language.items())}
    sections = {}
    for section in SECTIONS:
        figures = {name: result.sections[section] for name, result in scored.items() if section in result.sections}
        if figures:
            sections[section] = mean_of(figures)
    languages = {name: result.score for name, result in scored.items()}
    other = {name: reward_bench.score(by_language[name]).score for name in languages}
    subsets = {name: totals.mean(name) for name in totals.subsets}
    extra = {"languages": languages, "languages, by RewardBench's weights": other | {"mean": mean_of(other)}}
    return Figures(mean_of(languages), sections, subsets, extra)


SUITE = Suite(
    name="m_rewardbench",
    title="M-RewardBench",
    sources=("m_reward_bench",),
    section=pl.col("subset").str.split("/").list.last().replace_strict(reward_bench.SECTION_OF),
    units=_units,
    figures=_figures,
    sections=tuple(SECTIONS),
    caption="The score is the mean of the languages, a section the mean over the languages. Ties are wrong.",
)
