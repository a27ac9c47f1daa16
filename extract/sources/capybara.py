"""Capybara: two conversations per row with all turns but the last in common, each rated by a judge from 1 to 5.

Schema (argilla/distilabel-capybara-dpo-7k-binarized): chosen and rejected (whole conversations as lists
of {role, content}), rating_chosen, rating_rejected, and columns on how they were made. Each conversation is
one rated response; which of the two was preferred does not matter here.
"""

from collections.abc import Iterator

from extract.records import RatedResponse, Skipped
from extract.sources.source import BadRowError, RawRow, Source, rated_response
from extract.sources.turns import split_conversation, turns


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """Two responses per row; one that cannot be used leaves the other in use."""
    for side in ("chosen", "rejected"):
        where = row.part(side)
        try:
            prompt, response = split_conversation(turns(row.value(side), f"column '{side}'"), f"column '{side}'")
            ratings = {"argilla-overall_quality": row.value(f"rating_{side}")}
            yield from rated_response(where, prompt, response, ratings)
        except BadRowError as reason:
            yield Skipped(where, str(reason))


SOURCE = Source(
    name="capybara",
    kind="ratings",
    repo="argilla/distilabel-capybara-dpo-7k-binarized",
    files=("data/train-*.parquet",),
    columns=("chosen", "rejected", "rating_chosen", "rating_rejected"),
    parse=parse,
    objectives=("argilla-overall_quality",),
)
