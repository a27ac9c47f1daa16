"""RAG-RewardBench: responses based on retrieved passages, in six scenarios.

Every average of the published table is the accuracy over the rows it covers, not the mean of the columns: three
scenarios for helpfulness and three for harmlessness, both averages and the overall figure come out of row counts
262, 306, 361, 155, 217 and 184, which add up to the 1,485 pairs (table 2 of arXiv 2412.13746; the counts are
inferred from its percentages, the authors publish no scoring code). A tie is wrong.
"""

import polars as pl

from evaluation.suites.suite import Figures, Suite, accuracy_units, present
from evaluation.units import Totals

ROWS = 1485

HELPFUL = ("helpful", "reason", "citation")
HARMLESS = ("harmless", "abstain", "conflict")
SCENARIOS = (*HELPFUL, *HARMLESS)
"""As the set's files are named: helpfulness in general, several steps, citation; harmlessness in general, abstaining,
conflicting passages."""


def _figures(totals: Totals) -> Figures:
    scenarios = {name: totals.mean(name) for name in present(SCENARIOS, totals)}
    averages = {"helpful": present(HELPFUL, totals), "harmless": present(HARMLESS, totals)}
    extra = {"averages": {name: totals.pooled(members) for name, members in averages.items() if members}}
    return Figures(totals.pooled(totals.subsets), scenarios, dict(scenarios), extra)


SUITE = Suite(
    name="rag_rewardbench",
    title="RAG-RewardBench",
    sources=("rag_reward_bench",),
    section=pl.col("subset"),
    units=accuracy_units,
    figures=_figures,
    sections=SCENARIOS,
    subsets=SCENARIOS,
    caption="The score is over all pairs. Ties are wrong.",
)
