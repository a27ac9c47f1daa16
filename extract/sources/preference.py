"""Preferences in the forms that most public sets use, and the source for custom pair sets.

A row has chosen and rejected, and what was asked: in `prompt`, `question` or `instruction` (with `input`, `system` and
`history`), in `conversations` or `messages`, or at the start of both responses. Each may be a text, a list of
{role, content} or {from, value}, or turns spelt in a text; chosen and rejected are the responses alone or whole
conversations. So TRL's explicit and implicit prompts, LLaMA-Factory's, Alpaca's and Orca's rows and HH-RLHF's texts are
all read. A row may have `answers`, a list of {answer, rank}, in their place (`extract.sources.ranked`).

Optional: margin (at least 0), else a score of each response, whose difference is the margin (`SCORES`).
"""

from collections.abc import Iterator

from extract.files.kinds import TRAINING_FILES
from extract.records import PreferencePair, Skipped
from extract.sources.pairing import SIDES, margin_of, preference_pair, written_pair
from extract.sources.prompts import CONVERSATIONS, PROMPT_COLUMNS, asked_in
from extract.sources.ranked import best_against_another
from extract.sources.shapes import other_shape
from extract.sources.source import BadRowError, RawRow, Source, rating

NAME = "preference"

SCORES = (
    ("chosen_score", "rejected_score"),
    ("score_chosen", "score_rejected"),
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
)
"""Columns of the two responses' scores, in the order in which they are looked for."""


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    missing = next((side for side in SIDES if row.values.get(side) is None), None)
    if missing is None:
        pair = written_pair(row)
        yield preference_pair(row.where, pair.prompt, pair.chosen, pair.rejected, _margin(row), pair.form)
    elif row.values.get("answers") is not None:
        asked = asked_in(row)
        if asked is None:
            raise other_shape(row, NAME, "column 'prompt' is missing")
        form = f"{', '.join(asked[0])}, answers: ranked"
        yield best_against_another(row.where, asked[1], row.records("answers"), form)
    else:
        raise other_shape(row, NAME, f"column '{missing}' is missing")


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
    name=NAME,
    kind="pairs",
    repo=None,
    files=TRAINING_FILES,
    columns=tuple(
        dict.fromkeys(
            (
                *(*SIDES, *PROMPT_COLUMNS, *CONVERSATIONS, "answers", "margin"),
                *(column for columns in SCORES for column in columns),
            )
        )
    ),
    parse=parse,
    margins=True,
)
