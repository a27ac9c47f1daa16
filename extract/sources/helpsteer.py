"""HelpSteer: one response per row, five human ratings from 0 to 4.

Schema (nvidia/HelpSteer): prompt, response, helpfulness, correctness, coherence, complexity, verbosity.
"""

from collections.abc import Iterator

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import RawRow, Source, rated_response

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per row."""
    raw_ratings = {f"helpsteer-{attribute}": row.value(attribute) for attribute in ATTRIBUTES}
    return rated_response(row.where, user_prompt(row.text("prompt")), row.text("response"), raw_ratings)


SOURCE = Source(
    name="helpsteer",
    kind="ratings",
    repo="nvidia/HelpSteer",
    files=("train.jsonl*", "validation.jsonl*"),
    columns=("prompt", "response", *ATTRIBUTES),
    parse=parse,
    objectives=tuple(f"helpsteer-{attribute}" for attribute in ATTRIBUTES),
)
