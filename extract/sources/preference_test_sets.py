"""The prior preference sets that RewardBench counts at half weight, one file per subset.

Schema (allenai/preference-test-sets, one split per subset, so the file's name is the subset): prompt, chosen,
rejected. The official loader takes `prompt` as a list of {role, content} with texts, and in another
release chosen and rejected as whole conversations; both are read. A `subset` column, which anthropic_hhh has,
divides the subset further and is not used, as in the official scoring. The rows have no id: a row is named by
its place. The other splits (MT-Bench, harmless, PKU) do not count and are not read.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from extract.records import Skipped, SuiteItem
from extract.sources.pairing import pair_of_messages
from extract.sources.source import BadRowError, RawRow, Source, in_subset

SUBSETS = ("anthropic_helpful", "anthropic_hhh", "shp", "summarize")


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row. A row with equal responses is used: a tie counts as wrong, it is not skipped."""
    subset = _subset(row.where)
    with in_subset(subset):
        prompt, chosen, rejected = pair_of_messages(row)
        yield SuiteItem(row.where, subset, prompt, (chosen,), (rejected,))


def _subset(where: str) -> str:
    file = PurePosixPath(where.rpartition("#")[0]).name
    subset = re.split(r"[-.]", file, maxsplit=1)[0]
    if subset not in SUBSETS:
        raise BadRowError(f"the file name {file!r} does not start with one of {', '.join(SUBSETS)}")
    return subset


SOURCE = Source(
    name="preference_test_sets",
    kind="suite",
    repo="allenai/preference-test-sets",
    files=tuple(f"data/{subset}-*.parquet" for subset in SUBSETS),
    columns=("prompt", "chosen", "rejected"),
    parse=parse,
    rows=17_154,  # 6,192 + 221 + 1,741 + 9,000, by its card
    licence="odc-by",
)
