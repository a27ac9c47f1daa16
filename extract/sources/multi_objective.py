"""Ratings in columns: the authors' merged set, and the schema for custom rating sets.

Schema (RLHFlow/ArmoRM-Multi-Objective-Data-v0.1): messages (the conversation as a list of {role, content},
the last one being the response), and one column per objective, null where it was not rated. In place of
`messages` a row may hold `prompt` (a text, or a list of messages) and `response` (a text). The
recipe names the column of each objective. The authors' card does not state the names of its files.
"""

from collections.abc import Iterator

from extract.files.kinds import TRAINING_FILES
from extract.records import Prompt, RatedResponse, Skipped
from extract.sources.source import (
    BadRowError,
    RawRow,
    Source,
    rated_response,
    split_conversation,
    turns,
    user_prompt,
)


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per row. A column that a row lacks is a missing rating, as null is."""
    columns = row.objectives.values()
    if not any(column in row.values for column in columns):
        # Rows may be sparse, but a row without any rating column means that the names are wrong.
        none = ", ".join(columns) or "the recipe names none"
        raise BadRowError(f"none of the rating columns is there: {none}; {row.seen()}")
    prompt, response = _conversation(row)
    ratings = {objective: row.values.get(column) for objective, column in row.objectives.items()}
    return rated_response(row.where, prompt, response, ratings)


def _conversation(row: RawRow) -> tuple[Prompt, str]:
    if row.values.get("messages") is not None:
        return split_conversation(turns(row.value("messages"), "column 'messages'"), "column 'messages'")
    if "prompt" not in row.values:
        raise BadRowError(f"neither column 'messages' nor column 'prompt' is there; {row.seen()}")
    prompt = row.value("prompt")
    if isinstance(prompt, list | tuple):
        return turns(prompt, "column 'prompt'"), row.text("response")
    return user_prompt(row.text("prompt")), row.text("response")


SOURCE = Source(
    name="multi_objective",
    kind="ratings",
    repo="RLHFlow/ArmoRM-Multi-Objective-Data-v0.1",
    files=TRAINING_FILES,
    columns=("messages", "prompt", "response"),
    parse=parse,
)
