"""OpenOrca pairs as rated by Argilla: two responses per row, each with a judge's rating from 1 to 10.

Schema (argilla/distilabel-intel-orca-dpo-pairs): system, input, chosen, rejected, generations [a, b],
order ['chosen' or 'rejected', twice], rating [a, b] or null, status ('unchanged', 'swapped' or 'tie'),
original_chosen, original_rejected, chosen_score.

`rating` follows `generations`, the two responses in the shuffled order in which the judge saw them, and
`order` says which of the *original* columns each was: after a swap it no longer tells chosen from
rejected. So each rating belongs to the text at the same place. The card does not state this; it follows from the
published steps (shuffle into `generations`, judge, then swap and take the higher rating as `chosen_score`). Without
`generations` the higher rating belongs to chosen, by that last step.
"""

from collections.abc import Iterator
from typing import Any

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, nonempty_text, rated_response, rating


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """Two responses per row; one that cannot be used leaves the other in use."""
    system = row.values.get("system")
    prompt = user_prompt(row.text("input"), system if isinstance(system, str) else None)
    for name, response, value in _rated(row):
        where = row.part(name)
        try:
            text = nonempty_text(response, f"the {name} response")
            yield from rated_response(where, prompt, text, {"argilla-judge_lm": value})
        except BadRowError as reason:
            yield Skipped(where, str(reason))


def _rated(row: RawRow) -> list[tuple[str, Any, Any]]:
    """(name, response, rating) of both responses."""
    chosen, rejected = row.value("chosen"), row.value("rejected")
    ratings = row.value("rating")
    if ratings is None:
        raise BadRowError("column 'rating' is empty: the judge's answer could not be read")
    if not isinstance(ratings, list | tuple) or len(ratings) != 2:
        raise BadRowError("column 'rating' is not a list of two ratings")
    generations = row.values.get("generations")
    if isinstance(generations, list | tuple) and len(generations) == 2:
        if sorted(map(str, generations)) != sorted((str(chosen), str(rejected))):
            raise BadRowError("column 'generations' does not hold the texts of chosen and rejected")
        chosen_first = generations[0] == chosen
    else:
        first, second = (rating(value, "column 'rating'") for value in ratings)
        chosen_first = first is None or second is None or first >= second
    good, bad = ratings if chosen_first else reversed(ratings)
    return [("chosen", chosen, good), ("rejected", rejected, bad)]


SOURCE = Source(
    name="openorca",
    kind="ratings",
    repo="argilla/distilabel-intel-orca-dpo-pairs",
    files=("data/train-*.parquet",),
    columns=("system", "input", "chosen", "rejected", "rating", "generations"),
    parse=parse,
    objectives=("argilla-judge_lm",),
)
