"""Stanford Human Preferences: two replies to a post on Reddit, the one with the higher score preferred.

Schema (stanfordnlp/SHP, JSON lines in files named train.json, one folder per subreddit): history, human_ref_A,
human_ref_B, labels (1: A is preferred, 0: B), score_A, score_B, score_ratio (higher score by lower score,
at least 1). The margin is `score_ratio` as it stands.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import preference_pair
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, rating


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    prompt = user_prompt(row.text("history"))
    label = row.value("labels")
    if label not in (0, 1):
        raise BadRowError(f"column 'labels' is {label!r}, expected 1 for A or 0 for B")
    first, second = row.text("human_ref_A"), row.text("human_ref_B")
    chosen, rejected = (first, second) if label == 1 else (second, first)
    margin = rating(row.values.get("score_ratio"), "column 'score_ratio'")
    if margin is not None and margin < 0:
        raise BadRowError(f"column 'score_ratio' is {margin:g}, expected 1 or more")
    yield preference_pair(row.where, prompt, chosen, rejected, margin)


SOURCE = Source(
    name="shp",
    kind="pairs",
    repo="stanfordnlp/SHP",
    files=("*/train.json*",),
    columns=("history", "labels", "human_ref_A", "human_ref_B", "score_ratio"),
    parse=parse,
    rows=348_718,  # by its card
    margins=True,
)
