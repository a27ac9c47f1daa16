"""Skywork-Reward-Preference: two whole conversations per row, drawn from several public sets.

Schema (Skywork/Skywork-Reward-Preference-80K-v0.2, about 77 thousand rows): chosen and rejected (whole conversations as
lists of {role, content}), source (the set that the row is from, which is not read). There is no prompt and no score:
the prompt is what both conversations begin with. v0.2 lacks the rows of v0.1 that overlap with RewardBench. The name of
its file was seen for v0.1 and for a copy.
"""

from collections.abc import Iterator

from extract.records import PreferencePair, Skipped
from extract.sources.pairing import SIDES, preference_pair, written_pair
from extract.sources.source import RawRow, Source


def parse(row: RawRow) -> Iterator[PreferencePair | Skipped]:
    """One pair per row."""
    pair = written_pair(row)
    yield preference_pair(row.where, pair.prompt, pair.chosen, pair.rejected)


SOURCE = Source(
    name="skywork_reward_preference",
    kind="pairs",
    repo="Skywork/Skywork-Reward-Preference-80K-v0.2",
    files=("data/train-*.parquet",),
    columns=SIDES,
    parse=parse,
)
