"""UltraFeedback as pairs: the best rated of four completions against another one.

Schema (HuggingFaceH4/ultrafeedback_binarized, split train_prefs): prompt, prompt_id, chosen and rejected
(whole conversations as lists of {role, content}), messages, score_chosen, score_rejected (overall scores).
The margin is the difference of the scores.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import margin_of, preference_pair, written_pair
from extract.sources.source import RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    pair = written_pair(row)
    margin = margin_of(row.value("score_chosen"), row.value("score_rejected"))
    yield preference_pair(row.where, pair.prompt, pair.chosen, pair.rejected, margin)


SOURCE = Source(
    name="ultrafeedback_binarized",
    kind="pairs",
    repo="HuggingFaceH4/ultrafeedback_binarized",
    files=("data/train_prefs-*.parquet",),
    columns=("prompt", "chosen", "rejected", "score_chosen", "score_rejected"),
    parse=parse,
    rows=61_966,  # by its card
    licence="mit",
    margins=True,
)
