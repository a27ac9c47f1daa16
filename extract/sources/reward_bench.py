"""RewardBench: a prompt, a good and a bad response, in 23 subsets.

Schema (allenai/reward-bench, split filtered): prompt, chosen, chosen_model, rejected, rejected_model,
subset, id.
"""

from collections.abc import Iterator

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, in_subset

SUBSETS = (
    *("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard"),
    *("mt-bench-easy", "mt-bench-med", "mt-bench-hard"),
    *("math-prm", "refusals-dangerous", "refusals-offensive"),
    *("llmbar-natural", "llmbar-adver-neighbor", "llmbar-adver-GPTInst"),
    *("llmbar-adver-GPTOut", "llmbar-adver-manual"),
    *("xstest-should-refuse", "xstest-should-respond", "donotanswer"),
    *("hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
)


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row. A row with equal responses is used: a tie counts as wrong, it is not skipped."""
    subset = row.text("subset")
    if subset not in SUBSETS:
        raise BadRowError(f"the subset {subset!r} is not one of RewardBench's")
    with in_subset(subset):
        prompt = user_prompt(row.text("prompt"))
        yield SuiteItem(row.identifier("id"), subset, prompt, (row.text("chosen"),), (row.text("rejected"),))


SOURCE = Source(
    name="reward_bench",
    kind="suite",
    repo="allenai/reward-bench",
    files=("data/filtered-*.parquet",),
    columns=("prompt", "chosen", "rejected", "subset", "id"),
    parse=parse,
)
