"""JudgeBench: a question and two responses of one model, and which of the two is right.

Schema (ScalerLab/JudgeBench, JSON lines of the splits gpt with 350 pairs and claude with 270; the files in the
benchmark's repository on GitHub hold the same rows): pair_id, original_id, source, question, response_model,
response_A, response_B, label 'A>B' or 'B>A'. A subset is `response_model/source`.
"""

from collections.abc import Iterator

from extract.records import Skipped, SuiteItem
from extract.sources.prompts import user_prompt
from extract.sources.source import BadRowError, RawRow, Source, in_subset

SOURCES = ("mmlu-pro", "livebench-reasoning", "livebench-math", "livecodebench")
"""Prefixes of the sources that the benchmark counts."""

ORDER = {"A>B": ("response_A", "response_B"), "B>A": ("response_B", "response_A")}


def parse(row: RawRow) -> Iterator[SuiteItem | Skipped]:
    """One item per row."""
    source = row.text("source")
    if not source.startswith(SOURCES):
        raise BadRowError(f"the source {source[:40]!r} is not one of JudgeBench's")
    with in_subset(f"{row.text('response_model').replace('/', '_')}/{source}") as subset:
        label = row.text("label")
        if label not in ORDER:
            raise BadRowError(f"the label {label[:40]!r} is neither 'A>B' nor 'B>A'")
        chosen, rejected = map(row.text, ORDER[label])
        prompt = user_prompt(row.text("question"))
        yield SuiteItem(row.identifier("pair_id"), subset, prompt, (chosen,), (rejected,))


SOURCE = Source(
    name="judge_bench",
    kind="suite",
    repo="ScalerLab/JudgeBench",
    files=("data/gpt-*", "data/claude-*"),
    other_files=(("data/dataset=judgebench,*.jsonl",),),
    columns=("pair_id", "source", "question", "response_model", "response_A", "response_B", "label"),
    parse=parse,
)
