"""UltraFeedback: up to four completions per row, each with a GPT-4 rating overall and on four aspects.

Schema (openbmb/UltraFeedback): source, instruction, models, completions[] {model, response,
overall_score (number or text, 1 to 10), annotations {helpfulness, honesty, instruction_following,
truthfulness} each {Rating: text '1' to '5' or 'N/A', Rationale, ...}, fine-grained_score,
custom_system_prompt, principle, critique}.

`fine-grained_score` is not read: it is the mean of the four aspects, not the overall score on another
scale. `custom_system_prompt` is not read either: the judge saw instruction and response without it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from extract.records import Prompt, RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, mapping, nonempty_text, only, rated_response

ASPECTS = ("instruction_following", "truthfulness", "honesty", "helpfulness")


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """One response per completion; a completion that cannot be used is skipped by itself."""
    prompt = user_prompt(row.text("instruction"))
    for number, completion in enumerate(row.records("completions")):
        where = row.part(number)
        try:
            yield from _completion(where, prompt, completion)
        except BadRowError as reason:
            yield Skipped(where, str(reason))


def _completion(where: str, prompt: Prompt, completion: Any) -> Iterator[RatedResponse | Skipped]:
    values = mapping(completion, "the completion")
    response = nonempty_text(values.get("response"), "the completion's response")
    ratings = {"ultrafeedback-overall_score": values.get("overall_score")}
    try:
        annotations = mapping(values.get("annotations") or {}, "the completion's field 'annotations'")
    except BadRowError as reason:
        yield Skipped(where, str(reason), rating_only=True)
        annotations = {}
    for aspect in ASPECTS:
        ratings[f"ultrafeedback-{aspect}"] = _aspect(annotations.get(aspect))
    yield from rated_response(where, prompt, response, ratings)


def _aspect(found: Any) -> Any:
    """The rating of one aspect: a draft of the set's card shows a list of one object in place of the object."""
    found = only(found)
    return found.get("Rating") if isinstance(found, Mapping) else found


SOURCE = Source(
    name="ultrafeedback",
    kind="ratings",
    repo="openbmb/UltraFeedback",
    files=("*.jsonl*",),
    columns=("instruction", "completions"),
    parse=parse,
    objectives=("ultrafeedback-overall_score", *(f"ultrafeedback-{aspect}" for aspect in ASPECTS)),
    rows=64_121,  # sampled prompts of the six files, by its README
    licence="mit",
)
