"""CodeUltraFeedback: four responses per row, all rated by GPT-3.5 on the coding preference that the row names.

Schema (coseal/CodeUltraFeedback): instruction, preference ('complexity', 'style', 'explanation',
'instruction-following' or 'readability'; the repository's own code writes these five), models,
responses[] {model, response}, annotations[] {model, rating (text '1' to '5' or 'N/A'), rationale}.
Annotations are in the judge's order, not in that of the responses: they are joined by the model's name.
"""

from collections.abc import Iterator
from typing import Any

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, mapping, nonempty_text, rated_response

PREFERENCES = ("complexity", "style", "explanation", "instruction-following", "readability")


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per model; one that cannot be used is skipped by itself."""
    prompt = user_prompt(row.text("instruction"))
    preference = row.text("preference").strip().removeprefix("code-")
    if preference not in PREFERENCES:
        raise BadRowError(f"the preference {preference!r} is not one of {', '.join(PREFERENCES)}")
    ratings = _by_model(row)
    for number, entry in enumerate(row.records("responses")):
        where = row.part(number)
        try:
            values = mapping(entry, "the response")
            text = nonempty_text(values.get("response"), "the response")
            model = values.get("model")
            if model not in ratings:
                raise BadRowError(f"the response of the model {model!r} has no annotation")
            yield from rated_response(where, prompt, text, {f"code-{preference}": ratings[model]})
        except BadRowError as reason:
            yield Skipped(where, str(reason))


def _by_model(row: RawRow) -> dict[Any, Any]:
    ratings: dict[Any, Any] = {}
    for entry in row.records("annotations"):
        values = mapping(entry, "an annotation")
        model = values.get("model")
        if model in ratings:
            raise BadRowError(f"two annotations are of the model {model!r}")
        ratings[model] = values.get("rating")
    return ratings


SOURCE = Source(
    name="code_ultrafeedback",
    kind="ratings",
    repo="coseal/CodeUltraFeedback",
    files=("data/train-*.parquet",),
    columns=("instruction", "preference", "responses", "annotations"),
    parse=parse,
    objectives=tuple(f"code-{preference}" for preference in PREFERENCES),
)
