r"""Nectar: seven answers per prompt, ranked by GPT-4; one pair per row.

Schema (berkeley-nest/Nectar, data/rlaif.parquet with 182,954 rows): prompt (a dialogue in one text,
'\n\nHuman: ... \n\nAssistant: ', which becomes turns), answers[] {answer, model, rank (float64, 1 is the best)}, turns,
num_responses, source[], good_natured. `good_natured` is not read. Which pair a row gives is said in
`extract.sources.ranked`. The count is the card's and was not counted here.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.prompts import user_prompt
from extract.sources.ranked import best_against_another
from extract.sources.source import RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    yield best_against_another(row.where, user_prompt(row.text("prompt")), row.records("answers"))


SOURCE = Source(
    name="nectar",
    kind="pairs",
    repo="berkeley-nest/Nectar",
    files=("data/*.parquet",),
    columns=("prompt", "answers"),
    parse=parse,
    margins=True,
)
