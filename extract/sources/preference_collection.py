"""Preference Collection: two responses to one instruction, and which is better by the row's rubric.

Schema (prometheus-eval/Preference-Collection): orig_instruction, orig_response_A, orig_response_B,
orig_score_A, orig_score_B (text '1' to '5'), orig_preference ('A' or 'B'), and the judge's task.
The margin is the difference of the scores if both exist.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import margin_of, preference_pair
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt = user_prompt(row.text("orig_instruction"))
    better = row.text("orig_preference").strip()
    if better not in ("A", "B"):
        raise BadRowError(f"column 'orig_preference' is {better!r}, expected 'A' or 'B'")
    worse = "B" if better == "A" else "A"
    chosen, rejected = row.text(f"orig_response_{better}"), row.text(f"orig_response_{worse}")
    margin = margin_of(row.values.get(f"orig_score_{better}"), row.values.get(f"orig_score_{worse}"))
    yield preference_pair(row.where, prompt, chosen, rejected, margin)


SOURCE = Source(
    name="preference_collection",
    kind="pairs",
    repo="prometheus-eval/Preference-Collection",
    files=("data/train-*.parquet",),
    columns=(
        *("orig_instruction", "orig_preference"),
        *("orig_response_A", "orig_response_B", "orig_score_A", "orig_score_B"),
    ),
    parse=parse,
    rows=199_760,  # by its card
    licence="cc-by-4.0",
    margins=True,
)
