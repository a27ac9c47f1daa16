"""UltraFeedback as pairs: the best rated of four completions against another one.

Schema (HuggingFaceH4/ultrafeedback_binarized, split train_prefs): prompt, prompt_id, chosen and rejected
(whole conversations as lists of {role, content}), messages, score_chosen, score_rejected (overall scores).
The margin is the difference of the scores.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import margin_of, pair_of_messages, preference_pair
from extract.sources.source import RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt, chosen, rejected = pair_of_messages(row)
    margin = margin_of(row.value("score_chosen"), row.value("score_rejected"))
    yield preference_pair(row.where, prompt, chosen, rejected, margin)


SOURCE = Source(
    name="ultrafeedback_binarized",
    kind="pairs",
    repo="HuggingFaceH4/ultrafeedback_binarized",
    files=("data/train_prefs-*.parquet",),
    columns=("prompt", "chosen", "rejected", "score_chosen", "score_rejected"),
    parse=parse,
    rows=61_966,  # by its card
    licence="mit",
)
