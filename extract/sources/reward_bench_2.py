"""RewardBench 2: a prompt with one good and three bad responses, and Ties, with several good ones.

Schema (allenai/reward-bench-2, split test, 1,865 rows): id, prompt, chosen[], rejected[], num_correct, num_incorrect,
total_completions, models[], subset, additional_metadata. In Ties an id is `ref:N` for the form of question N with one
right answer, and `tied:N` for the form with several; as in the official scoring, the id decides and not their number.
"""

from collections.abc import Iterator

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, in_subset

TIES = "Ties"
SUBSETS = ("Factuality", "Precise IF", "Math", "Safety", "Focus", TIES)


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row; for Ties its metadata has the question's form and number."""
    subset = row.text("subset")
    if subset not in SUBSETS:
        raise BadRowError(f"the subset {subset!r} is not one of RewardBench 2's")
    with in_subset(subset):
        name, prompt = row.identifier("id"), user_prompt(row.text("prompt"))
        chosen, rejected = row.texts("chosen"), row.texts("rejected")
        metadata = {}
        if subset == TIES:
            kind, colon, number = name.partition(":")
            if kind not in ("ref", "tied") or not colon or not number.strip():
                raise BadRowError(f"the id {name[:40]!r} is not ref:N or tied:N")
            metadata = {"tie": kind, "number": number}
        elif len(chosen) != 1:
            raise BadRowError(f"column 'chosen' has {len(chosen)} responses, expected 1")
        yield SuiteItem(name, subset, prompt, chosen, rejected, metadata)


SOURCE = Source(
    name="reward_bench_2",
    kind="suite",
    repo="allenai/reward-bench-2",
    files=("data/test-*.parquet",),
    columns=("id", "prompt", "chosen", "rejected", "subset"),
    parse=parse,
)
