r"""HH-RLHF: two dialogues per row with all turns but the assistant's last in common.

Schema (Anthropic/hh-rlhf): chosen and rejected, each one text
'\n\nHuman: ...\n\nAssistant: ...\n\nHuman: ...\n\nAssistant: ...'.

The prompt is every turn before the last, which both dialogues have in common. White space around a turn is
dropped. In about one row of two hundred a speaker has two turns in a row, usually the assistant going on
after a pause: they become one turn, with a blank line between, since chat templates require speakers to
alternate.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.dialogue import dialogue
from extract.sources.pairing import preference_pair
from extract.sources.source import BadRowError, RawRow, Source
from extract.sources.turns import split_conversation


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    sides = ((column, f"column '{column}'") for column in ("chosen", "rejected"))
    talks = [split_conversation(dialogue(row.text(column), what), what) for column, what in sides]
    (prompt, chosen), (other, rejected) = talks
    if prompt != other:
        raise BadRowError("chosen and rejected differ before the assistant's last turn")
    yield preference_pair(row.where, prompt, chosen, rejected)


SOURCE = Source(
    name="hh_rlhf",
    kind="pairs",
    repo="Anthropic/hh-rlhf",
    # harmless-base, helpful-base, helpful-online, helpful-rejection-sampled; the red-team file has no pairs.
    files=("*/train.jsonl*",),
    columns=("chosen", "rejected"),
    parse=parse,
)
