r"""HH-RLHF: two dialogues per row with all turns but the assistant's last in common.

Schema (Anthropic/hh-rlhf): chosen and rejected, each one text
'\n\nHuman: ...\n\nAssistant: ...\n\nHuman: ...\n\nAssistant: ...'.

The prompt is every turn before the last, which both dialogues have in common. White space around a turn is
dropped. In about one row of two hundred a speaker has two turns in a row, usually the assistant going on
after a pause: they become one turn, with a blank line between, since chat templates require speakers to
alternate.
"""

import re
from collections.abc import Iterator

from extract.records import Message, PreferencePair, Prompt, Role, Skipped
from extract.sources.pairing import preference_pair
from extract.sources.source import BadRowError, RawRow, Source, nonempty_text

SPEAKER = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt, chosen = _split(row, "chosen")
    other, rejected = _split(row, "rejected")
    if prompt != other:
        raise BadRowError("chosen and rejected differ before the assistant's last turn")
    yield preference_pair(row.where, prompt, chosen, rejected)


def _split(row: RawRow, column: str) -> tuple[Prompt, str]:
    start, *parts = SPEAKER.split(row.text(column))
    if start.strip() or not parts:
        raise BadRowError(f"column '{column}' does not start with 'Human:' or 'Assistant:'")
    speakers: list[Role] = []
    texts: list[str] = []
    for speaker, text in zip(parts[::2], parts[1::2], strict=True):
        if speakers and speakers[-1] == ROLES[speaker]:
            texts[-1] = f"{texts[-1]}\n\n{text.strip()}".strip()
        else:
            speakers.append(ROLES[speaker])
            texts.append(text.strip())
    if speakers[0] != "user" or speakers[-1] != "assistant":
        raise BadRowError(f"column '{column}' does not go from a turn of Human to one of Assistant")
    for number, text in enumerate(texts):
        nonempty_text(text, f"turn {number} of column '{column}'")
    turns = tuple(map(Message, speakers, texts))
    return turns[:-1], turns[-1].content


SOURCE = Source(
    name="hh_rlhf",
    kind="pairs",
    repo="Anthropic/hh-rlhf",
    # harmless-base, helpful-base, helpful-online, helpful-rejection-sampled; the red-team file has no pairs.
    files=("*/train.jsonl*",),
    columns=("chosen", "rejected"),
    parse=parse,
    licence="mit",
)
