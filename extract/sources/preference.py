"""Preferences in the plain schema that most public sets use, and the schema for custom pair sets.

Schema: prompt, chosen, rejected. Each may be a text or a list of {role, content}; chosen and rejected are
the responses alone, or whole conversations (then `prompt` may be missing). Optional: margin (at least 0),
else chosen_score and rejected_score, or score_chosen and score_rejected, whose difference is the margin.
"""

from collections.abc import Iterator

from extract.files.kinds import TRAINING_FILES
from extract.records import PreferencePair, Skipped
from extract.sources.pairing import margin_of, pair_of_messages, preference_pair
from extract.sources.source import BadRowError, RawRow, Source, rating

SCORES = (("chosen_score", "rejected_score"), ("score_chosen", "score_rejected"))


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt, chosen, rejected = pair_of_messages(row)
    yield preference_pair(row.where, prompt, chosen, rejected, _margin(row))


def _margin(row: RawRow) -> float | None:
    margin = rating(row.values.get("margin"), "column 'margin'")
    if margin is not None:
        if margin < 0:
            raise BadRowError(f"column 'margin' is {margin:g}, expected 0 or more")
        return margin
    for chosen, rejected in SCORES:
        if chosen in row.values and rejected in row.values:
            return margin_of(row.value(chosen), row.value(rejected))
    return None


SOURCE = Source(
    name="preference",
    kind="pairs",
    repo=None,
    files=TRAINING_FILES,
    columns=("prompt", "chosen", "rejected", "margin", *(column for columns in SCORES for column in columns)),
    parse=parse,
)
