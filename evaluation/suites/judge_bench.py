"""JudgeBench: pairs of responses of one model of which one is objectively right.

A row counts if the right response scores higher; a tie is wrong. The benchmark's script prints the accuracy over
all pairs of one response model, and over the pairs whose source begins with mmlu-pro (knowledge),
livebench-reasoning, livebench-math and livecodebench (run_judge.py of ScalerLab/JudgeBench; arXiv 2410.12784). Its
leaderboards are by response model: gpt (350 pairs) and claude (270). The score here is over all pairs that the
recipe reads; the figures of each response model are further tables.
"""

import polars as pl

from evaluation.suites.suite import Figures, Suite, accuracy_units
from evaluation.units import Figure, Totals

SECTIONS = {
    "knowledge": "mmlu-pro",
    "reasoning": "livebench-reasoning",
    "math": "livebench-math",
    "coding": "livecodebench",
}
"""Section -> prefix of the sources of its pairs."""

_SECTION = pl.coalesce(
    pl.when(pl.col("subset").str.splitn("/", 2).struct.field("field_1").str.starts_with(start)).then(pl.lit(section))
    for section, start in SECTIONS.items()
)


def section_of(subset: str) -> str | None:
    """The section of a subset, which is `response model/source`; None where its source belongs to no section."""
    source = subset.partition("/")[2]
    return next((section for section, start in SECTIONS.items() if source.startswith(start)), None)


def _by_section(totals: Totals, subsets: list[str]) -> dict[str, Figure]:
    parts = {section: [name for name in subsets if section_of(name) == section] for section in SECTIONS}
    return {section: totals.pooled(part) for section, part in parts.items() if part}


def _figures(totals: Totals) -> Figures:
    names = list(totals.subsets)
    models = dict.fromkeys(name.partition("/")[0] for name in names)
    extra = {}
    for model in models:
        members = [name for name in names if name.partition("/")[0] == model]
        extra[model] = {"all": totals.pooled(members)} | _by_section(totals, members)
    return Figures(totals.pooled(names), _by_section(totals, names), {name: totals.mean(name) for name in names}, extra)


SUITE = Suite(
    name="judgebench",
    title="JudgeBench",
    sources=("judge_bench",),
    section=_SECTION,
    units=accuracy_units,
    figures=_figures,
    sections=tuple(SECTIONS),
    caption="The score is over all pairs. Ties are wrong.",
)
