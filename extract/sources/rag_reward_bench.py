"""RAG-RewardBench: a prompt with retrieved passages, a good and a bad response; one file per scenario.

Schema (jinzhuoran/RAG-RewardBench, Dataset/*.jsonl, 1,485 rows): prompt, question, chosen, chosen_model, the bad
response and its model reject_model, subset (one of 18 origins), references. The set's card does not describe its
columns: this source reads those that other loaders read. The bad response is taken from `reject` or `rejected`.
Whether `prompt` ends with the question could not be confirmed, so the question is appended to a prompt that does not
contain it. The rows have no id: a row is named by its place.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, in_subset

SCENARIOS = ("helpful", "reason", "citation", "harmless", "abstain", "conflict")


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row, in the scenario that its file is named after."""
    scenario = PurePosixPath(row.where.rpartition("#")[0]).name.partition(".")[0]
    if scenario not in SCENARIOS:
        raise BadRowError(f"the file name {scenario!r} is not one of {', '.join(SCENARIOS)}")
    with in_subset(scenario):
        prompt = row.text("prompt")
        question = row.values.get("question")
        if isinstance(question, str) and question.strip() and question.strip() not in prompt:
            prompt = f"{prompt}\n\n{question.strip()}"
        rejected = row.text("rejected" if "rejected" in row.values else "reject")
        yield SuiteItem(row.where, scenario, user_prompt(prompt), (row.text("chosen"),), (rejected,))


SOURCE = Source(
    name="rag_reward_bench",
    kind="suite",
    repo="jinzhuoran/RAG-RewardBench",
    files=tuple(f"Dataset/{scenario}.jsonl" for scenario in SCENARIOS),
    columns=("prompt", "question", "chosen", "rejected", "reject"),
    parse=parse,
)
