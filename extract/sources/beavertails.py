"""BeaverTails: one response per row, and whether people found it safe.

Schema (PKU-Alignment/BeaverTails): prompt, response, category {14 kinds of harm: bool}, is_safe: bool.
"""

from collections.abc import Iterator

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import RawRow, Source, rated_response


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per row: 1 is safe, 0 is not."""
    ratings = {"beavertails-is_safe": row.value("is_safe")}
    return rated_response(row.where, user_prompt(row.text("prompt")), row.text("response"), ratings)


SOURCE = Source(
    name="beavertails",
    kind="ratings",
    repo="PKU-Alignment/BeaverTails",
    # The larger of the two releases; the smaller (round0/30k) overlaps it, and both would count rows twice.
    files=("round0/330k/train.jsonl*",),
    columns=("prompt", "response", "is_safe"),
    parse=parse,
    objectives=("beavertails-is_safe",),
)
