"""Ratings in columns: the authors' merged set, and the source for custom rating sets.

Schema (RLHFlow/ArmoRM-Multi-Objective-Data-v0.1): messages (the conversation as a list of {role, content},
the last one being the response), and one column per objective, null where it was not rated. The recipe names the
column of each objective. The authors' card does not state the names of its files.

In place of `messages` a row may hold `conversations`, also as ShareGPT's {from, value}; or what was asked (`prompt`,
`question` or `instruction` with `input`, `system` and `history`) and the response (`response`, `completion` or
`output`), each a text or a list of turns. Unpaired labels, as KTO takes them, are such rows: prompt, completion, and
`label` as the column of an objective, whose rating is 1 for true and 0 for false.
"""

from collections.abc import Iterator
from dataclasses import replace

from extract.files.kinds import TRAINING_FILES
from extract.records import Prompt, RatedResponse, Skipped
from extract.sources.pairing import MESSAGES, SHAREGPT, TEXTS
from extract.sources.prompts import CONVERSATIONS, PROMPT_COLUMNS, PROMPTS, asked_in, behind_system
from extract.sources.shapes import other_shape
from extract.sources.source import BadRowError, RawRow, Source, nonempty_text, rated_response
from extract.sources.spelt_turns import JSON, answered, spelling_of, spelt_response
from extract.sources.turns import is_sharegpt, response_text, split_conversation, turns

NAME = "multi_objective"

RESPONSES = ("response", "completion", "output")
"""Columns that hold the response, in the order in which they are looked for."""


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per row. A column that a row lacks is a missing rating, as null is."""
    columns = row.objectives.values()
    if not any(column in row.values for column in columns):
        # Rows may be sparse, but a row without any rating column means that the names are wrong.
        wanted = ", ".join(columns) or "the recipe names none"
        raise other_shape(row, NAME, f"none of the rating columns is there: {wanted}")
    form, prompt, response = _conversation(row)
    ratings = {objective: row.values.get(column) for objective, column in row.objectives.items()}
    for record in rated_response(row.where, prompt, response, ratings):
        yield replace(record, form=form) if isinstance(record, RatedResponse) else record


def _conversation(row: RawRow) -> tuple[str, Prompt, str]:
    """The form, the prompt and the response."""
    whole = next((name for name in CONVERSATIONS if row.values.get(name) is not None), None)
    column = next((name for name in RESPONSES if row.values.get(name) is not None), None)
    if whole is not None:
        spelling, messages = _turns(row, whole)
        if column is None or messages[-1].role == "assistant":
            prompt, response = split_conversation(messages, f"column '{whole}'")
            columns, prompt = behind_system(row, prompt)
            return f"{', '.join((whole, *columns))}: {spelling}", prompt, response
    if column is None:
        lacking = "neither column 'messages' nor column 'response' is there"
        if all(row.values.get(name) is None for name in PROMPTS):
            lacking = "neither column 'messages' nor column 'prompt' is there"
        raise other_shape(row, NAME, lacking)
    asked = asked_in(row)
    if asked is None:
        raise other_shape(row, NAME, "neither column 'messages' nor column 'prompt' is there")
    spelling, response = _response(row, column)
    return f"{', '.join((*asked[0], column))}: {spelling}", asked[1], response


def _turns(row: RawRow, column: str) -> tuple[str, Prompt]:
    """How a column of turns is written, and the turns."""
    value, what = row.value(column), f"column '{column}'"
    if not isinstance(value, str):
        return SHAREGPT if is_sharegpt(value) else MESSAGES, turns(value, what)
    text = nonempty_text(value, what)
    messages = answered(text, what)
    if messages is None:
        raise BadRowError(f"{what} is a text that spells no turns, expected a list of messages")
    return spelling_of(text) or TEXTS, messages


def _response(row: RawRow, column: str) -> tuple[str, str]:
    """How a response is written, and the response: a text, or a list of one turn of the assistant."""
    value, what = row.value(column), f"column '{column}'"
    if not isinstance(value, list | tuple):
        text = nonempty_text(value, what)
        alone = spelt_response(text)
        return (TEXTS, text) if alone is None else (JSON, alone)
    messages = turns(value, what)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise BadRowError(f"{what} is not one turn of the assistant")
    return SHAREGPT if is_sharegpt(value) else MESSAGES, response_text(messages[0], what)


SOURCE = Source(
    name=NAME,
    kind="ratings",
    repo="RLHFlow/ArmoRM-Multi-Objective-Data-v0.1",
    files=TRAINING_FILES,
    columns=tuple(dict.fromkeys((*CONVERSATIONS, *PROMPT_COLUMNS, *RESPONSES))),
    parse=parse,
)
