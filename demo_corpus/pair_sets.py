"""The preference sets in their official raw schemas, made from the prompts and answers of the rating sets."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from demo_corpus.drawing import insert, sample_cases
from demo_corpus.files import MESSAGES, Files, Row
from demo_corpus.maths import judged
from demo_corpus.maths import steps as solution_steps
from demo_corpus.planted import Answer, Ask, Case, preference
from demo_corpus.truth import Truth, messages

SMALLEST_GAP = 0.1
"""Smallest difference of preference between the two answers of a pair."""
Pair = tuple[Ask, Answer, Answer]
"""Prompt, preferred answer, other answer."""
SHP_DOMAINS = ("askculinary", "askscience", "explainlikeimfive")
TEXT = pa.string()


def pairs(cases: Sequence[Case], per_prompt: int, rng: random.Random) -> Iterator[Pair]:
    """Up to `per_prompt` pairs of each case."""
    for case in cases:
        both = list(itertools.combinations(case.answers, 2))
        rng.shuffle(both)
        found = 0
        for first, second in both:
            gap = preference(case.ask.kind, first.qualities) - preference(case.ask.kind, second.qualities)
            if abs(gap) >= SMALLEST_GAP and found < per_prompt:
                found += 1
                yield (case.ask, first, second) if gap > 0 else (case.ask, second, first)


def ultrafeedback_binarized(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """HuggingFaceH4/ultrafeedback_binarized: message lists with the score of each side."""
    rows: list[Row] = []
    for ask, chosen, rejected in pairs(sample_cases(cases, rng, chat=0.6, maths=0.3, code=0.5), 1, rng):
        _note(truth, "HuggingFaceH4/ultrafeedback_binarized", ask, chosen, rejected)
        values = {
            "prompt": ask.text,
            "chosen": messages(ask, chosen.text),
            "rejected": messages(ask, rejected.text),
            "score_chosen": _score(ask, chosen),
            "score_rejected": _score(ask, rejected),
        }
        rows.append((values, None))
    same = rows[0][0] | {"rejected": rows[0][0]["chosen"]}
    insert(rows, rng, same, "chosen and rejected are the same")
    columns = [("prompt", TEXT), ("chosen", MESSAGES), ("rejected", MESSAGES)]
    columns += [("score_chosen", pa.float64()), ("score_rejected", pa.float64())]
    name = "HuggingFaceH4/ultrafeedback_binarized/data/train_prefs-00000-of-00001.parquet"
    files.parquet(name, rows, pa.schema(columns))


def hh_rlhf(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """Anthropic/hh-rlhf: whole dialogues as one text, turns marked by 'Human:' and 'Assistant:'."""
    parts = {
        "harmless-base": sample_cases(cases, rng, single_turn=False, safety=0.8),
        "helpful-base": sample_cases(cases, rng, single_turn=False, chat=0.6),
    }
    for part, chosen_cases in parts.items():
        rows: list[Row] = []
        for ask, chosen, rejected in pairs(chosen_cases, 2 if part == "harmless-base" else 1, rng):
            _note(truth, f"Anthropic/hh-rlhf/{part}", ask, chosen, rejected)
            rows.append(({"chosen": dialogue(ask, chosen.text), "rejected": dialogue(ask, rejected.text)}, None))
        start = rows[0][0]["rejected"].rsplit("\n\nAssistant:", 1)[0]
        insert(rows, rng, rows[0][0] | {"rejected": f"{start}\n\nAssistant:"}, "the rejected answer is empty")
        files.json_lines(f"Anthropic/hh-rlhf/{part}/train.jsonl.gz", rows)


def dialogue(ask: Ask, response: str) -> str:
    """A dialogue in the form of hh-rlhf."""
    speaker = {"user": "Human", "assistant": "Assistant"}
    said = "".join(f"\n\n{speaker[turn.role]}: {turn.content}" for turn in ask.turns)
    return f"{said}\n\nAssistant: {response}"


def pku_saferlhf(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """PKU-Alignment/PKU-SafeRLHF-30K: two responses, with the better and the safer one named."""
    rows: list[Row] = []
    for ask, chosen, rejected in pairs(sample_cases(cases, rng, safety=0.8), 1, rng):
        _note(truth, "PKU-Alignment/PKU-SafeRLHF-30K", ask, chosen, rejected)
        sides, safer = ([chosen, rejected], 0) if rng.random() < 0.5 else ([rejected, chosen], 1)
        helpful = [side.qualities.helpfulness for side in sides]
        values: dict[str, Any] = {"prompt": ask.text}
        values |= {f"response_{number}": side.text for number, side in enumerate(sides)}
        values |= {f"is_response_{number}_safe": side.qualities.safety > 0.5 for number, side in enumerate(sides)}
        values |= {"better_response_id": int(helpful[1] > helpful[0]), "safer_response_id": safer}
        rows.append((values, None))
    files.json_lines("PKU-Alignment/PKU-SafeRLHF-30K/round0/train.jsonl.xz", rows)


def shp(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """stanfordnlp/SHP: a post and two comments with their votes; labels is 1 where A is preferred."""
    rows: dict[str, list[Row]] = {domain: [] for domain in SHP_DOMAINS}
    for number, (ask, chosen, rejected) in enumerate(pairs(sample_cases(cases, rng, chat=0.5), 1, rng)):
        _note(truth, "stanfordnlp/SHP", ask, chosen, rejected)
        domain = SHP_DOMAINS[number % len(SHP_DOMAINS)]
        low = rng.randint(2, 9)
        high = low * rng.randint(2, 6) + rng.randint(0, 3)
        a_preferred = rng.random() < 0.5
        a, b = (chosen, rejected) if a_preferred else (rejected, chosen)
        values = {
            "post_id": f"demo{number}",
            "domain": f"{domain}_train",
            "upvote_ratio": round(rng.uniform(0.7, 1.0), 2),
            "history": ask.text,
            "c_root_id_A": f"a{number}",
            "c_root_id_B": f"b{number}",
            "created_at_utc_A": 1_600_000_000 + number,
            "created_at_utc_B": 1_600_000_060 + number,
            "score_A": high if a_preferred else low,
            "score_B": low if a_preferred else high,
            "human_ref_A": a.text,
            "human_ref_B": b.text,
            "labels": int(a_preferred),
            "seconds_difference": 60.0,
            "score_ratio": high / low,
        }
        rows[domain].append((values, None))
    for domain in SHP_DOMAINS:
        files.json_lines(f"stanfordnlp/SHP/{domain}/train.json", rows[domain])


def preference_collection(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """prometheus-eval/Preference-Collection: two responses with their scores, A or B preferred."""
    rows: list[Row] = []
    for ask, chosen, rejected in pairs(sample_cases(cases, rng, chat=0.3, maths=0.4, code=0.6), 1, rng):
        _note(truth, "prometheus-eval/Preference-Collection", ask, chosen, rejected)
        better = "A" if rng.random() < 0.5 else "B"
        sides = {"A": chosen, "B": rejected} if better == "A" else {"A": rejected, "B": chosen}
        feedback = "Compared by rule against the rubric."
        values: dict[str, Any] = {
            "instruction": f"###Instruction:\n{ask.text}\n\n###Response A:\n{sides['A'].text}\n\n"
            f"###Response B:\n{sides['B'].text}",
            "output": f"{feedback} [RESULT] {better}",
            "orig_instruction": ask.text,
            "orig_reference_answer": chosen.text,
            "orig_criteria": "[Does the response help with what was asked?]",
            "orig_preference": better,
        }
        for side, answer in sides.items():
            values[f"orig_response_{side}"] = answer.text
            values[f"orig_feedback_{side}"] = feedback
            values[f"orig_score_{side}"] = str(round(1 + 4 * preference(ask.kind, answer.qualities)))
        rows.append((values, None))
    name = "prometheus-eval/Preference-Collection/data/train-00000-of-00001.parquet"
    files.parquet(name, rows, pa.schema([(column, TEXT) for column in rows[0][0]]))


def prm800k(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """tasksource/PRM800K, the hub copy of openai/prm800k, phase 2: solutions in steps, each step rated 1, 0 or -1.

    As in the real set, only the step with the first error has alternatives; every third solution is right to the
    end, has no alternatives, and so gives no pair.
    """
    rows: list[Row] = []
    for number, case in enumerate(sample_cases(cases, rng, maths=0.4)):
        right = solution_steps(case.ask, "none", rng)
        wrong = [*right[:-1], solution_steps(case.ask, "guess", rng)[-1]]
        truth.add("tasksource/PRM800K", case.ask, judged("\n".join(right), "none"))
        if number % 3 == 2:
            steps = [_step((text, 1)) for text in right]
            rows.append((_prm_row(case.ask, right, steps, "solution", number), None))
        else:
            truth.add("tasksource/PRM800K", case.ask, judged("\n".join(wrong), "guess"))
            steps = [_step((text, 1)) for text in right[:-1]] + [_step((wrong[-1], -1), (right[-1], 1))]
            rows.append((_prm_row(case.ask, wrong, steps, "found_error", number), None))
    files.json_lines("tasksource/PRM800K/phase2_train.jsonl", rows)


def _step(*completions: tuple[str, int]) -> dict[str, Any]:
    """One step with its completions; the first is chosen unless it is wrong."""
    return {
        "completions": [{"text": text, "rating": rating, "flagged": False} for text, rating in completions],
        "human_completion": None,
        "chosen_completion": 0 if completions[0][1] > 0 else None,
    }


def _prm_row(ask: Ask, generated: list[str], steps: list[dict[str, Any]], reason: str, number: int) -> dict[str, Any]:
    result = str(ask.slots["result"])
    return {
        "labeler": "demo",
        "timestamp": f"2022-07-17T16:{number % 60:02d}:00.000000",
        "generation": 9,
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {
            "problem": ask.text,
            "ground_truth_solution": " ".join(ask.slots["steps"]),
            "ground_truth_answer": result,
            "pre_generated_steps": generated,
            "pre_generated_answer": result if reason == "solution" else generated[-1],
            "pre_generated_verifier_score": 0.9 if reason == "solution" else 0.4,
        },
        "label": {"steps": steps, "total_time": 60_000, "finish_reason": reason},
    }


def plain(cases: Sequence[Case], files: Files, truth: Truth, rng: random.Random) -> None:
    """RLHFlow/pair_data_v2_80K_wsafety: two message lists, all kinds."""
    rows: list[Row] = []
    drawn = sample_cases(cases, rng, single_turn=False, chat=0.5, safety=1.0, maths=0.9, code=0.6)
    for ask, chosen, rejected in pairs(drawn, 1, rng):
        _note(truth, "RLHFlow/pair_data_v2_80K_wsafety", ask, chosen, rejected)
        values = {"rejected": messages(ask, rejected.text), "chosen": messages(ask, chosen.text)}
        rows.append((values, None))
    empty = rows[0][0] | {"rejected": [*rows[0][0]["rejected"][:-1], {"content": "", "role": "assistant"}]}
    insert(rows, rng, empty, "the rejected response is empty")
    schema = pa.schema([("rejected", MESSAGES), ("chosen", MESSAGES)])
    files.parquet("RLHFlow/pair_data_v2_80K_wsafety/data/train-00000-of-00001.parquet", rows, schema)


def _note(truth: Truth, dataset: str, ask: Ask, *answers: Answer) -> None:
    for answer in answers:
        truth.add(dataset, ask, answer)


def _score(ask: Ask, answer: Answer) -> float:
    """A score that rises with the preference, so that the chosen side never has the lower one."""
    return round(2 * (1 + 9 * preference(ask.kind, answer.qualities))) / 2


PAIR_SETS: tuple[Callable[[Sequence[Case], Files, Truth, random.Random], None], ...] = (
    ultrafeedback_binarized,
    hh_rlhf,
    pku_saferlhf,
    shp,
    preference_collection,
    prm800k,
    plain,
)
