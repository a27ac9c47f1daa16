"""RMB: helpfulness and harmlessness, in pairs and as the best of several.

A pair counts if the chosen response scores higher; a best-of-n row if its best response scores above every other.
The authors' pairwise script counts ties as wrong; their best-of-n script takes the first of those that tie, in an
order that is not the data's, so here a tie is wrong too. The score is the mean of the four accuracies, as
OpenCompass' evaluator of this benchmark takes it; the authors' repository (Zhou-Zoey/RMB-Reward-Model-Benchmark)
holds no code that adds the four up. arXiv 2410.09893.
"""

import polars as pl

from evaluation.suites.suite import Figures, Suite, accuracy_units, mean_of
from evaluation.units import Totals

SECTIONS = {
    "helpfulness best-of-n": "BoN_set/Helpfulness",
    "helpfulness pairs": "Pairwise_set/Helpfulness",
    "harmlessness best-of-n": "BoN_set/Harmlessness",
    "harmlessness pairs": "Pairwise_set/Harmlessness",
}
"""Section -> prefix of the category paths of its rows; a subset is a category path."""


def _figures(totals: Totals) -> Figures:
    parts = {
        section: [name for name in totals.subsets if name.startswith(start)] for section, start in SECTIONS.items()
    }
    sections = {section: totals.pooled(part) for section, part in parts.items() if part}
    subsets = {name: totals.mean(name) for name in totals.subsets}
    return Figures(mean_of(sections), sections, subsets)


SUITE = Suite(
    name="rmb",
    title="RMB",
    sources=("rmb",),
    section=pl.coalesce(
        pl.when(pl.col("subset").str.starts_with(start)).then(pl.lit(section)) for section, start in SECTIONS.items()
    ),
    units=accuracy_units,
    figures=_figures,
    sections=tuple(SECTIONS),
    caption="The score is the mean of the four. Ties are wrong.",
)
