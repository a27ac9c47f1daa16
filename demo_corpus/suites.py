"""Rows in the schema of RewardBench and of its prior sets, with prompts that are in no training set."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from demo_corpus import chat, maths, programs, safety
from demo_corpus.files import MESSAGES, Files, Row
from demo_corpus.planted import Answer, Ask
from demo_corpus.pool import ANSWERERS, Pool
from demo_corpus.truth import Truth, messages

TEXT = pa.string()
Maker = Callable[[random.Random], Ask]


@dataclass(frozen=True, slots=True)
class Subset:
    """Recipe of the rows of one subset: prompt, flaws of both sides, padding of both sides."""

    prompt: Maker
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]
    padding: tuple[int | None, int | None] = (None, None)


def _borderline(rng: random.Random) -> Ask:
    return chat.prompt(rng, borderline=True)


def _in(language: str) -> Maker:
    return lambda rng: programs.prompt(rng, language)


EASY, HARD = ("thin", "garbled", "off_topic"), ("false", "truncated", "mixed", "mixed", "off_topic")
UNSAFE = ("complies", "half_complies", "feigns")
BUGS = ("bug", "unfinished", "wrong_language", "messy")
REWARDBENCH: dict[str, Subset] = {
    "alpacaeval-easy": Subset(chat.prompt, ("none",), EASY),
    "alpacaeval-length": Subset(chat.prompt, ("none",), ("thin", "off_topic", "truncated"), (0, 3)),
    "alpacaeval-hard": Subset(chat.prompt, ("none",), HARD, (0, 1)),
    "mt-bench-easy": Subset(chat.prompt, ("none",), EASY),
    "mt-bench-med": Subset(chat.prompt, ("none",), (*EASY, "truncated")),
    "mt-bench-hard": Subset(chat.prompt, ("none",), HARD, (0, 2)),
    "llmbar-natural": Subset(chat.prompt, ("none",), HARD),
    "llmbar-adver-neighbor": Subset(chat.prompt, ("none",), ("off_topic", "mixed"), (0, 2)),
    "llmbar-adver-GPTInst": Subset(chat.prompt, ("none", "truncated"), ("off_topic", "mixed"), (0, 3)),
    "llmbar-adver-GPTOut": Subset(chat.prompt, ("none",), ("false", "thin"), (0, 3)),
    "llmbar-adver-manual": Subset(chat.prompt, ("none",), ("false", "mixed"), (0, 2)),
    "refusals-dangerous": Subset(safety.prompt, ("none", "redirects"), UNSAFE),
    "refusals-offensive": Subset(safety.prompt, ("none", "curt"), UNSAFE),
    "xstest-should-refuse": Subset(safety.prompt, ("none", "curt", "redirects"), (*UNSAFE, "stingy")),
    "xstest-should-respond": Subset(_borderline, ("none",), ("refusal",), (None, 1)),
    "donotanswer": Subset(safety.prompt, ("none", "redirects"), ("half_complies", "feigns", "stingy")),
    "math-prm": Subset(maths.prompt, ("none", "brief"), ("guess", "contradicts", "slips"), (0, 2)),
    **{
        f"hep-{short}": Subset(_in(language), ("none", "none", "terse"), BUGS)
        for short, language in zip(
            ("cpp", "go", "java", "js", "python", "rust"),
            ("C++", "Go", "Java", "JavaScript", "Python", "Rust"),
            strict=True,
        )
    },
}
"""The 23 subsets of RewardBench."""
PRIOR_SETS: dict[str, Subset] = {
    "anthropic_helpful": Subset(lambda rng: chat.prompt(rng, multi_turn=True), ("none",), (*EASY, *HARD)),
    "anthropic_hhh": Subset(safety.prompt, ("none", "curt", "redirects"), UNSAFE),
    "shp": Subset(chat.prompt, ("none",), (*EASY, "truncated", "false")),
    "summarize": Subset(chat.prompt, ("none",), ("thin", "truncated", "garbled", "false")),
}
ROWS_PER_SUBSET, ROWS_PER_PRIOR_SET = 16, 25


def _pair(subset: Subset, pool: Pool) -> tuple[Ask, Answer, Answer]:
    """A new prompt with a chosen and a rejected answer."""
    rng = pool.rng
    ask = pool.ask(subset.prompt)
    chosen, rejected = (
        ANSWERERS[ask.kind](ask, rng.choice(flaws), rng, padding)
        for flaws, padding in zip((subset.chosen, subset.rejected), subset.padding, strict=True)
    )
    return ask, chosen, rejected


def rewardbench(pool: Pool, files: Files, truth: Truth, scale: float) -> None:
    """allenai/reward-bench, split filtered."""
    rows: list[Row] = []
    for name, subset in REWARDBENCH.items():
        for _ in range(max(2, round(ROWS_PER_SUBSET * min(scale, 4.0)))):
            ask, chosen, rejected = _pair(subset, pool)
            for answer in (chosen, rejected):
                truth.add("allenai/reward-bench", ask, answer)
            values = {
                "prompt": ask.text,
                "chosen": chosen.text,
                "chosen_model": "demo-good",
                "rejected": rejected.text,
                "rejected_model": "demo-bad",
                "subset": name,
                "id": len(rows),
            }
            rows.append((values, None))
    columns = [(name, pa.int64() if name == "id" else TEXT) for name in rows[0][0]]
    files.parquet("allenai/reward-bench/data/filtered-00000-of-00001.parquet", rows, pa.schema(columns))


def prior_sets(pool: Pool, files: Files, truth: Truth, scale: float) -> None:
    """allenai/preference-test-sets: the prompt as a list of messages, one file per subset."""
    columns = [("prompt", MESSAGES), ("chosen", TEXT), ("rejected", TEXT), ("subset", TEXT), ("id", pa.int64())]
    for name, subset in PRIOR_SETS.items():
        rows: list[Row] = []
        for number in range(max(2, round(ROWS_PER_PRIOR_SET * min(scale, 4.0)))):
            ask, chosen, rejected = _pair(subset, pool)
            for answer in (chosen, rejected):
                truth.add("allenai/preference-test-sets", ask, answer)
            values = {"prompt": messages(ask), "chosen": chosen.text, "rejected": rejected.text}
            rows.append((values | {"subset": name, "id": number}, None))
        path = f"allenai/preference-test-sets/data/{name}-00000-of-00001.parquet"
        files.parquet(path, rows, pa.schema(columns))
