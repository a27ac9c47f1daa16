"""Math preferences by Argilla: two responses per row, each with a judge's rating.

Schema (argilla/distilabel-math-preference-dpo): instruction, chosen_response, chosen_rating,
rejected_response, rejected_rating. The judge rated instruction following, so it rates UltraFeedback's
objective of that name. The scale is not stated on the card.
"""

from collections.abc import Iterator

from extract.records import RatedResponse, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, rated_response


def parse(row: RawRow) -> Iterator[RatedResponse | Skipped]:
    """Two responses per row; one that cannot be used leaves the other in use."""
    prompt = user_prompt(row.text("instruction"))
    for side in ("chosen", "rejected"):
        where = row.part(side)
        try:
            ratings = {"ultrafeedback-instruction_following": row.value(f"{side}_rating")}
            yield from rated_response(where, prompt, row.text(f"{side}_response"), ratings)
        except BadRowError as reason:
            yield Skipped(where, str(reason))


SOURCE = Source(
    name="math_preference",
    kind="ratings",
    repo="argilla/distilabel-math-preference-dpo",
    files=("data/train-*.parquet",),
    columns=("instruction", "chosen_response", "chosen_rating", "rejected_response", "rejected_rating"),
    parse=parse,
    objectives=("ultrafeedback-instruction_following",),
)
