"""Prometheus, the Feedback Collection: one response per row, with GPT-4's score on the row's own rubric.

Schema (prometheus-eval/Feedback-Collection, one JSON array): instruction, output, orig_instruction,
orig_response, orig_reference_answer, orig_criteria, orig_feedback, orig_score (text '1' to '5').
`instruction` is the judge's whole task; the conversation is `orig_instruction` and `orig_response`.
"""

from collections.abc import Iterator

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import RawRow, Source, rated_response


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per row."""
    ratings = {"prometheus-score": row.value("orig_score")}
    prompt = user_prompt(row.text("orig_instruction"))
    return rated_response(row.where, prompt, row.text("orig_response"), ratings)


SOURCE = Source(
    name="prometheus",
    kind="ratings",
    repo="prometheus-eval/Feedback-Collection",
    files=("new_feedback_collection.json",),
    columns=("orig_instruction", "orig_response", "orig_score"),
    parse=parse,
    objectives=("prometheus-score",),
)
