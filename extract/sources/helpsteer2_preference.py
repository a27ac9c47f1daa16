"""HelpSteer2-Preference: two responses per row, and how strongly people prefer one of them.

Schema (nvidia/HelpSteer2, preference/preference.jsonl.gz): split ('train' or 'val'), prompt (turns spelt as in
HelpSteer2), response_1, response_2, preference_strength (-3: response_1 is much better, 3: response_2 is),
preference_statement, preference_elaboration, three_most_similar_preferences, all_preferences_unprocessed. Both splits
are read: prompts are divided by this project's own rule. Public loaders agree on the sign; a row was not seen here.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.preference_strength import pair_by_strength
from extract.sources.prompts import user_prompt
from extract.sources.source import RawRow, Source

STRENGTH = "preference_strength"


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt = user_prompt(row.text("prompt"))
    yield pair_by_strength(row, prompt, row.text("response_1"), row.text("response_2"), STRENGTH)


SOURCE = Source(
    name="helpsteer2_preference",
    kind="pairs",
    repo="nvidia/HelpSteer2",
    files=("preference/preference.jsonl*",),
    columns=("prompt", "response_1", "response_2", STRENGTH),
    parse=parse,
    margins=True,
)
