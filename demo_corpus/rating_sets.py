"""The rating sets in their official raw schemas. They share prompts, so that one feature serves several sets."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from demo_corpus.drawing import MODELS, insert, sample_cases
from demo_corpus.files import MESSAGES, Files, Row
from demo_corpus.planted import Answer, Ask, Case, Qualities
from demo_corpus.rated_pair_sets import capybara, intel_orca, math_preference
from demo_corpus.ratings import OBJECTIVES, in_halves, judged, on_scale
from demo_corpus.truth import Truth, messages

HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
ULTRAFEEDBACK_FILES = ("evol_instruct", "false_qa", "flan", "sharegpt", "truthful_qa", "ultrachat")
CODE_PREFERENCES = ("complexity", "style", "explanation", "instruction-following", "readability")
HARM_CATEGORIES = (
    "animal_abuse",
    "child_abuse",
    "controversial_topics,politics",
    "discrimination,stereotype,injustice",
    "drug_abuse,weapons,banned_substance",
    "financial_crime,property_crime,theft",
    "hate_speech,offensive_language",
    "misinformation_regarding_ethics,laws_and_safety",
    "non_violent_unethical_behavior",
    "privacy_violation",
    "self_harm",
    "sexually_explicit,adult_content",
    "terrorism,organized_crime",
    "violence,aiding_and_abetting,incitement",
)
TEXT, REAL = pa.string(), pa.float64()
N_A_SHARE = 0.01
"""Fraction of string ratings that are 'N/A' in sets whose originals have some."""


def helpsteer(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """nvidia/HelpSteer: five whole numbers from 0 to 4."""

    def rate(qualities: Qualities) -> dict[str, int]:
        return {name: on_scale(f"helpsteer-{name}", qualities, 0, 4, rng) for name in HELPSTEER}

    chosen = sample_cases(cases, rng, chat=0.8, safety=0.6, maths=0.8, code=0.7)
    rows: list[Row] = []
    for case in chosen:
        for answer in case.answers:
            truth.add("nvidia/HelpSteer", case.ask, answer)
            rows.append(({"prompt": case.ask.text, "response": answer.text, **rate(answer.qualities)}, None))
    cut = max(1, len(rows) // 20)
    held_out, rows = rows[:cut], rows[cut:]
    first = dict(rows[0][0])
    insert(rows, rng, first | {"response": ""}, "the response is empty")
    insert(rows, rng, first | {"helpfulness": 7}, "helpfulness is 7 on a scale of 0 to 4")
    files.json_lines("nvidia/HelpSteer/train.jsonl.gz", rows)
    files.json_lines("nvidia/HelpSteer/validation.jsonl.gz", held_out)


def ultrafeedback(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """openbmb/UltraFeedback: four completions per row, aspects as strings from 1 to 5, an overall score of 1 to 10."""
    rows: dict[str, list[Row]] = {name: [] for name in ULTRAFEEDBACK_FILES}
    for case in sample_cases(cases, rng, chat=0.7, safety=0.5, maths=0.6, code=0.5):
        places = {"chat": (0, 1, 3, 4, 5), "safety": (3, 5), "maths": (2,), "code": (0,)}[case.ask.kind]
        source = ULTRAFEEDBACK_FILES[rng.choice(places)]
        completions, flaws = [], []
        for model, answer in zip(MODELS, case.answers, strict=False):
            truth.add("openbmb/UltraFeedback", case.ask, answer)
            completion = _completion(model, answer, rng)
            completions.append(completion)
            missing = [name for name in ASPECTS if completion["annotations"][name]["Rating"] == "N/A"]
            flaws += [f"{name} of {model} is N/A" for name in missing]
        rows[source].append((_ultrafeedback_row(source, case.ask, completions), "; ".join(flaws) or None))
    damaged = next(values for name in ULTRAFEEDBACK_FILES for values, flaw in rows[name] if not flaw)
    first, *others = damaged["completions"]
    empty = damaged | {"completions": [{**first, "response": ""}, *others]}
    insert(rows[damaged["source"]], rng, empty, "the response of demo-alpha is empty")
    unscored = damaged | {"completions": [{**first, "overall_score": None}, *others]}
    insert(rows[damaged["source"]], rng, unscored, "overall_score of demo-alpha is null")
    for name in ULTRAFEEDBACK_FILES:
        files.json_lines(f"openbmb/UltraFeedback/{name}.jsonl", rows[name])


def _ultrafeedback_row(source: str, ask: Ask, completions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "source": source,
        "instruction": ask.text,
        "models": [completion["model"] for completion in completions],
        "completions": completions,
        "correct_answers": ["None"],
        "incorrect_answers": ["None"],
    }


def _completion(model: str, answer: Answer, rng: random.Random) -> dict[str, Any]:
    annotations: dict[str, dict[str, Any]] = {}
    for name in ASPECTS:
        rating = str(on_scale(f"ultrafeedback-{name}", answer.qualities, 1, 5, rng))
        rating = "N/A" if rng.random() < N_A_SHARE else rating
        annotations[name] = {"Rating": rating, "Rationale": "Rated by rule."}
        if name in ("truthfulness", "helpfulness"):
            annotations[name] |= {"Type": ["1"], "Rationale For Rating": "Rated by rule."}
    overall = in_halves("ultrafeedback-overall_score", answer.qualities, 1, 10, rng)
    return {
        "annotations": annotations,
        "custom_system_prompt": "Answer the request of the user.",
        "model": model,
        "principle": "helpfulness",
        "response": answer.text,
        "critique": "Self-made row.",
        # the real set writes whole scores as 8.0 and some as strings
        "overall_score": str(overall) if rng.random() < 0.05 else overall,
        "fine-grained_score": sum(
            float(aspect["Rating"]) for aspect in annotations.values() if aspect["Rating"] != "N/A"
        )
        / len(ASPECTS),
    }


def beavertails(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """PKU-Alignment/BeaverTails: safe or not, with fourteen kinds of harm."""
    rows: list[Row] = []
    for case in sample_cases(cases, rng, safety=1.0, chat=0.4, maths=0.15, code=0.15):
        for answer in case.answers:
            truth.add("PKU-Alignment/BeaverTails", case.ask, answer)
            safe = answer.qualities.safety > 0.5
            category = dict.fromkeys(HARM_CATEGORIES, False)
            category["non_violent_unethical_behavior"] = not safe
            values = {"prompt": case.ask.text, "response": answer.text, "category": category, "is_safe": safe}
            rows.append((values, None))
    insert(rows, rng, rows[0][0] | {"response": ""}, "the response is empty")
    files.json_lines("PKU-Alignment/BeaverTails/round0/330k/train.jsonl.xz", rows)


def feedback_collection(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """prometheus-eval/Feedback-Collection: a score from '1' to '5' against a rubric."""
    rows: list[Row] = []
    for case in sample_cases(cases, rng, chat=0.6, code=0.4):
        best = max(case.answers, key=lambda answer: answer.qualities.helpfulness)
        for answer in case.answers:
            truth.add("prometheus-eval/Feedback-Collection", case.ask, answer)
            score = str(on_scale("prometheus-score", answer.qualities, 1, 5, rng))
            feedback = "Rated by rule against the rubric."
            criteria = "[Does the response help with what was asked?]"
            criteria += "".join(f"\nScore {n} Description: {n} of 5" for n in range(1, 6))
            values = {
                "instruction": f"###Instruction:\n{case.ask.text}\n\n###Response:\n{answer.text}",
                "output": f"{feedback} [RESULT] {score}",
                "orig_instruction": case.ask.text,
                "orig_response": answer.text,
                "orig_reference_answer": best.text,
                "orig_criteria": criteria,
                "orig_feedback": feedback,
                "orig_score": score,
            }
            rows.append((values, None))
    insert(rows, rng, rows[0][0] | {"orig_score": "7"}, "orig_score is 7 on a scale of 1 to 5")
    files.json_array("prometheus-eval/Feedback-Collection/new_feedback_collection.json", rows)


def code_ultrafeedback(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """coseal/CodeUltraFeedback: four responses per row, rated as strings from 1 to 5 for one of five preferences.

    The real set rates each instruction for one preference; here each is rated for four, in four rows, since
    otherwise there would be too few ratings for each of the five.
    """
    rows: list[Row] = []
    for case in sample_cases(cases, rng, code=1.0):
        for aspect in rng.sample(CODE_PREFERENCES, 4):
            responses, annotations, flaws = [], [], []
            for model, answer in zip(MODELS, case.answers, strict=False):
                truth.add("coseal/CodeUltraFeedback", case.ask, answer)
                rating = str(on_scale(f"code-{aspect}", answer.qualities, 1, 5, rng))
                if rng.random() < N_A_SHARE:
                    rating = "N/A"
                    flaws.append(f"the rating of {model} is N/A")
                responses.append({"model": model, "response": answer.text})
                annotations.append({"model": model, "rating": rating, "rationale": "Rated by rule."})
            values = {"instruction": case.ask.text, "preference": aspect}
            rows.append((values | {"responses": responses, "annotations": annotations}, "; ".join(flaws) or None))
    rng.shuffle(rows)
    response = pa.struct([("model", TEXT), ("response", TEXT)])
    annotation = pa.struct([("model", TEXT), ("rating", TEXT), ("rationale", TEXT)])
    columns = [("instruction", TEXT), ("preference", TEXT)]
    columns += [("responses", pa.list_(response)), ("annotations", pa.list_(annotation))]
    files.parquet("coseal/CodeUltraFeedback/data/train-00000-of-00001.parquet", rows, pa.schema(columns))


def merged(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """RLHFlow/ArmoRM-Multi-Objective-Data-v0.1: conversations with one column per objective, from 0 to 1."""
    rows: list[Row] = []
    groups = ("helpsteer", "ultrafeedback", "beavertails", "code", "argilla", "prometheus")
    for case in sample_cases(cases, rng, single_turn=False, chat=0.08, safety=0.1, maths=0.08, code=0.08):
        allowed = [group for group in groups if group != "code" or case.ask.kind == "code"]
        for answer in case.answers:
            truth.add("RLHFlow/ArmoRM-Multi-Objective-Data-v0.1", case.ask, answer)
            group = rng.choice(allowed)
            ratings = {
                name: judged(name, answer.qualities, rng) if name.startswith(group) else None for name in OBJECTIVES
            }
            rows.append(({"messages": messages(case.ask, answer.text), **ratings}, None))
    columns = [("messages", MESSAGES), *((name, REAL) for name in OBJECTIVES)]
    name = "RLHFlow/ArmoRM-Multi-Objective-Data-v0.1/data/train-00000-of-00001.parquet"
    files.parquet(name, rows, pa.schema(columns))


RATING_SETS: tuple[Callable[[Sequence[Case], Files, Truth, random.Random], None], ...] = (
    helpsteer,
    ultrafeedback,
    beavertails,
    feedback_collection,
    capybara,
    math_preference,
    code_ultrafeedback,
    intel_orca,
    merged,
)
