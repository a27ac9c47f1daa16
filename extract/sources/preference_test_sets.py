"""The prior preference sets that RewardBench counts at half weight, one file per subset.

Schema (allenai/preference-test-sets, one split per subset, so the file's name is the subset): prompt (a list of {role,
content}), chosen, rejected (texts), id. In another release chosen and rejected are whole conversations; both are read.
Roles are not read: as in the official loader, the turns of a conversation alternate, the user's first. A `subset`
column, which anthropic_hhh has, divides the subset further and is not used, as in the official scoring. A row is named
by its place. The other splits (MT-Bench, harmless, PKU) do not count and are not read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import PurePosixPath
from typing import Any

from extract.records import Skipped, SuiteItem
from extract.sources.pairing import written_pair
from extract.sources.source import BadRowError, RawRow, Source, in_subset

SUBSETS = ("anthropic_helpful", "anthropic_hhh", "shp", "summarize")


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row. A row with equal responses is used: a tie counts as wrong, it is not skipped."""
    subset = _subset(row.where)
    with in_subset(subset):
        values = {column: _alternating(value) for column, value in row.values.items()}
        pair = written_pair(replace(row, values=values))
        yield SuiteItem(row.where, subset, pair.prompt, (pair.chosen,), (pair.rejected,))


def _subset(where: str) -> str:
    file = PurePosixPath(where.rpartition("#")[0]).name
    subset = re.split(r"[-.]", file, maxsplit=1)[0]
    if subset not in SUBSETS:
        raise BadRowError(f"the file name {file!r} does not start with one of {', '.join(SUBSETS)}")
    return subset


def _alternating(value: Any) -> Any:
    """Messages with the roles that the official loader gives them; another value as it is."""
    if not isinstance(value, list | tuple):
        return value
    roles = cycle(("user", "assistant"))
    return [{**turn, "role": next(roles)} if isinstance(turn, Mapping) else turn for turn in value]


SOURCE = Source(
    name="preference_test_sets",
    kind="suite",
    repo="allenai/preference-test-sets",
    files=tuple(f"data/{subset}-*.parquet" for subset in SUBSETS),
    columns=("prompt", "chosen", "rejected"),
    parse=parse,
)
