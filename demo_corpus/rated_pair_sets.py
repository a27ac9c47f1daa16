"""The rating sets with two rated responses per row, the better one as `chosen`."""

import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from demo_corpus.drawing import MODELS, insert, sample_cases
from demo_corpus.files import MESSAGES, Files, Row
from demo_corpus.planted import Answer, Ask, Case
from demo_corpus.ratings import in_halves, on_scale
from demo_corpus.truth import Truth, messages

ORCA_SYSTEMS = ("", "", "", "You are an AI assistant. Provide a detailed answer.", "You are a helpful assistant.")
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()


def capybara(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """argilla/distilabel-capybara-dpo-7k-binarized: two whole conversations per row, each with a rating of 1 to 5."""
    rows: list[Row] = []
    for case in sample_cases(cases, rng, single_turn=False, chat=0.7):
        for first, second in (case.answers[0:2], case.answers[2:4]):
            rated = [(on_scale("argilla-overall_quality", a.qualities, 1, 5, rng), a) for a in (first, second)]
            (high, chosen), (low, rejected) = sorted(rated, key=lambda pair: -pair[0])
            for answer in (chosen, rejected):
                truth.add("argilla/distilabel-capybara-dpo-7k-binarized", case.ask, answer)
            outputs = [turn.content for turn in case.ask.turns if turn.role == "assistant"] + [chosen.text]
            inputs = [turn.content for turn in case.ask.turns if turn.role == "user"]
            values = {
                "source": "Demo",
                "conversation": [{"input": said, "output": reply} for said, reply in zip(inputs, outputs, strict=True)],
                "original_response": chosen.text,
                "generation_prompt": [case.ask.text],
                "raw_generation_responses": [rejected.text],
                "new_generations": [rejected.text],
                "prompt": case.ask.text,
                "chosen": messages(case.ask, chosen.text),
                "rejected": messages(case.ask, rejected.text),
                "rating_chosen": high,
                "rating_rejected": low,
                "chosen_model": MODELS[0],
                "rejected_model": MODELS[1],
            }
            rows.append((values, None))
    insert(rows, rng, rows[0][0] | {"rating_chosen": None}, "rating_chosen is null")
    turn = pa.struct([("input", TEXT), ("output", TEXT)])
    types = dict.fromkeys(rows[0][0], TEXT) | {
        "conversation": pa.list_(turn),
        "generation_prompt": pa.list_(TEXT),
        "raw_generation_responses": pa.list_(TEXT),
        "new_generations": pa.list_(TEXT),
        "chosen": MESSAGES,
        "rejected": MESSAGES,
        "rating_chosen": WHOLE,
        "rating_rejected": WHOLE,
    }
    name = "argilla/distilabel-capybara-dpo-7k-binarized/data/train-00000-of-00001.parquet"
    files.parquet(name, rows, pa.schema(list(types.items())))


def math_preference(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """argilla/distilabel-math-preference-dpo: a right and a wrong solution, each with a rating of 1 to 10."""
    rows: list[Row] = []
    for case in sample_cases(cases, rng, maths=0.7):
        ranked = sorted(case.answers, key=lambda answer: -answer.qualities.correctness)
        pair = {"chosen": ranked[0], "rejected": ranked[-1]}
        values: dict[str, Any] = {"metadata": '{"source": "demo"}', "instruction": case.ask.text}
        for side, answer in pair.items():
            truth.add("argilla/distilabel-math-preference-dpo", case.ask, answer)
            values[f"{side}_response"] = answer.text
            values[f"{side}_rating"] = in_halves("helpsteer-correctness", answer.qualities, 1, 10, rng)
        rows.append((values, None))
    types = {name: REAL if name.endswith("rating") else TEXT for name in rows[0][0]}
    name = "argilla/distilabel-math-preference-dpo/data/train-00000-of-00001-f59ecdcaca8c1de3.parquet"
    files.parquet(name, rows, pa.schema(list(types.items())))


def intel_orca(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """argilla/distilabel-intel-orca-dpo-pairs: two generations per row with ratings of 1 to 10."""
    rows: list[Row] = []
    for case in sample_cases(cases, rng, chat=0.5, maths=0.2):
        for first, second in (case.answers[0:2], case.answers[2:4]):
            rated = [(in_halves("argilla-judge_lm", a.qualities, 1, 10, rng), a) for a in (first, second)]
            rated.sort(key=lambda pair: -pair[0])
            order, tie = ["chosen", "rejected"], rated[0][0] == rated[1][0]
            for _, answer in rated:
                truth.add("argilla/distilabel-intel-orca-dpo-pairs", case.ask, answer)
            rows.append((_orca_row(case.ask, rated, order, tie, rng), None))
    unrated = rows[0][0] | {"rating": None, "chosen_score": None, "rationale": None}
    insert(rows, rng, unrated, "rating is null")
    types = dict.fromkeys(rows[0][0], TEXT) | {
        "generations": pa.list_(TEXT),
        "order": pa.list_(TEXT),
        "labelling_prompt": MESSAGES,
        "rating": pa.list_(REAL),
        "chosen_score": REAL,
        "in_gsm8k_train": pa.bool_(),
    }
    name = "argilla/distilabel-intel-orca-dpo-pairs/data/train-00000-of-00001.parquet"
    files.parquet(name, rows, pa.schema(list(types.items())))


def _orca_row(
    ask: Ask, rated: list[tuple[float, Answer]], order: list[str], tie: bool, rng: random.Random
) -> dict[str, Any]:
    """A row with ratings in the order of `generations`; `chosen` is always the better one."""
    (high, chosen), (low, rejected) = rated
    return {
        "system": rng.choice(ORCA_SYSTEMS),
        "input": ask.text,
        "chosen": chosen.text,
        "rejected": rejected.text,
        "generations": [chosen.text, rejected.text],
        "order": order,
        "labelling_model": "demo-judge",
        "labelling_prompt": [{"content": "Rate both answers from 1 to 10.", "role": "system"}],
        "raw_labelling_response": f"{high} {low}",
        "rating": [high, low],
        "rationale": "Rated by rule.",
        "status": "tie" if tie else "unchanged",
        "original_chosen": chosen.text,
        "original_rejected": rejected.text,
        "chosen_score": high,
        "in_gsm8k_train": False,
    }
