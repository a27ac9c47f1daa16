"""HelpSteer3-Preference: two responses per conversation, and how strongly people prefer one of them.

Schema (nvidia/HelpSteer3, preference/train.jsonl.gz with 38,459 rows and preference/validation.jsonl.gz): domain,
language, context (a list of {role, content}, the last one the user's), response1, response2, overall_preference (-3:
response1 is much better, 3: response2 is), individual_preference. Public loaders agree on the sign; a row was not seen
here.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.preference_strength import pair_by_strength
from extract.sources.source import RawRow, Source
from extract.sources.turns import turns

PREFERENCE = "overall_preference"


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt = turns(row.value("context"), "column 'context'")
    yield pair_by_strength(row, prompt, row.text("response1"), row.text("response2"), PREFERENCE)


SOURCE = Source(
    name="helpsteer3",
    kind="pairs",
    repo="nvidia/HelpSteer3",
    files=("preference/train.jsonl*", "preference/validation.jsonl*"),
    columns=("context", "response1", "response2", PREFERENCE),
    parse=parse,
    margins=True,
)
