"""Pair sets: each official schema becomes exact pairs, the preferred response first."""

from typing import Any

import pytest

from extract.records import Message, PreferencePair, Skipped
from extract.sources import SOURCES
from tests.extract.rows import reason, records, talk, user

MULTI = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"))


def binarized(**values: Any) -> dict[str, Any]:
    return {
        "prompt": "Q",
        "chosen": talk("Q", "good"),
        "rejected": talk("Q", "bad"),
        "score_chosen": 8.5,
        "score_rejected": 6.0,
    } | values


def test_ultrafeedback_binarized_has_the_difference_of_scores_as_margin() -> None:
    assert records("ultrafeedback_binarized", binarized()) == [PreferencePair("f#7", user("Q"), "good", "bad", 2.5)]
    assert records("ultrafeedback_binarized", binarized(score_rejected=8.5)) == [
        PreferencePair("f#7", user("Q"), "good", "bad", 0.0)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"rejected": talk("Q", "good ")}, "chosen and rejected are the same text"),
        ({"score_chosen": 2}, "the score of chosen, 2, is below the score of rejected, 6"),
        ({"rejected": talk("other", "bad")}, "chosen and rejected differ before their last turn"),
        ({"chosen": talk("Q")}, "column 'chosen' does not end with an assistant turn after a prompt"),
        ({"chosen": []}, "column 'chosen' is not a non-empty list of messages"),
        ({"score_chosen": "high"}, "the score of chosen is 'high', expected a number"),
    ],
)
def test_ultrafeedback_binarized_refuses(values: dict[str, Any], expected: str) -> None:
    assert records("ultrafeedback_binarized", binarized(**values)) == [Skipped("f#7", expected)]


def dialogue(*texts: str) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[place % 2]}: {text}" for place, text in enumerate(texts))


def hh(chosen: str, rejected: str) -> Any:
    (record,) = records("hh_rlhf", {"chosen": chosen, "rejected": rejected})
    return record


def test_hh_rlhf_keeps_the_turns() -> None:
    pair = hh(dialogue("Q1", "A1", "Q2", "good"), dialogue("Q1", "A1", "Q2", "bad"))
    assert pair == PreferencePair("f#7", MULTI, "good", "bad")


def test_hh_rlhf_text_may_hold_blank_lines_and_speak_of_humans() -> None:
    pair = hh(dialogue("Q", "one\n\ntwo. Human: no"), dialogue("Q", "Human beings"))
    assert pair == PreferencePair("f#7", user("Q"), "one\n\ntwo. Human: no", "Human beings")


def test_hh_rlhf_joins_two_turns_in_a_row() -> None:
    chosen = dialogue("Q", "wait") + "\n\nAssistant:  here it is"
    assert hh(chosen, dialogue("Q", "no")) == PreferencePair("f#7", user("Q"), "wait\n\nhere it is", "no")
    silent = dialogue("Q", "") + "\n\nAssistant: here it is"
    assert hh(silent, dialogue("Q", "no")) == PreferencePair("f#7", user("Q"), "here it is", "no")


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        (dialogue("Q", "a"), dialogue("R", "b"), "chosen and rejected differ before the assistant's last turn"),
        (dialogue("Q", "a", "Q2", "c"), dialogue("Q", "b"), "chosen and rejected differ before"),
        (dialogue("Q", "a", "thanks"), dialogue("Q", "b"), "column 'chosen' does not go from a turn of Human"),
        (dialogue("Q"), dialogue("Q", "b"), "column 'chosen' does not go from a turn of Human"),
        ("\n\nAssistant: a", dialogue("Q", "b"), "column 'chosen' does not go from a turn of Human"),
        (dialogue("Q", "a"), dialogue("Q", ""), "turn 1 of column 'rejected' is empty"),
        (dialogue("Q", "a"), "b", "column 'rejected' does not start with 'Human:'"),
        ("intro" + dialogue("Q", "a"), dialogue("Q", "b"), "column 'chosen' does not start with 'Human:'"),
        (dialogue("Q", "a"), dialogue("Q", "a"), "chosen and rejected are the same text"),
    ],
)
def test_hh_rlhf_refuses(chosen: str, rejected: str, expected: str) -> None:
    assert reason(hh(chosen, rejected)).startswith(expected)


def pku(**values: Any) -> dict[str, Any]:
    return {
        "prompt": "Q",
        "response_0": "zero",
        "response_1": "one",
        "is_response_0_safe": True,
        "is_response_1_safe": False,
        "better_response_id": 1,
        "safer_response_id": 0,
    } | values


def test_pku_safe_rlhf_follows_the_better_not_the_safer_response() -> None:
    assert records("pku_safe_rlhf", pku()) == [PreferencePair("f#7", user("Q"), "one", "zero")]
    assert records("pku_safe_rlhf", pku(better_response_id=0)) == [PreferencePair("f#7", user("Q"), "zero", "one")]


@pytest.mark.parametrize("better", [2, -1, None, "1"])
def test_pku_safe_rlhf_refuses_another_preference(better: Any) -> None:
    expected = f"column 'better_response_id' is {better!r}, expected 0 or 1"
    assert records("pku_safe_rlhf", pku(better_response_id=better)) == [Skipped("f#7", expected)]


@pytest.mark.parametrize(("label", "chosen", "rejected"), [(1, "a", "b"), (0, "b", "a")])
def test_shp_label_one_prefers_a(label: int, chosen: str, rejected: str) -> None:
    row = {"history": "Q", "human_ref_A": "a", "human_ref_B": "b", "labels": label, "score_ratio": 3.5}
    assert records("shp", row) == [PreferencePair("f#7", user("Q"), chosen, rejected, 3.5)]
    del row["score_ratio"]
    assert records("shp", row) == [PreferencePair("f#7", user("Q"), chosen, rejected, None)]
    assert reason(records("shp", row | {"labels": 2})[0]) == "column 'labels' is 2, expected 1 for A or 0 for B"


def collection(**values: Any) -> dict[str, Any]:
    return {
        "orig_instruction": "Q",
        "orig_response_A": "a",
        "orig_response_B": "b",
        "orig_score_A": "2",
        "orig_score_B": "5",
        "orig_preference": "B",
    } | values


def test_preference_collection_follows_the_letter() -> None:
    assert records("preference_collection", collection()) == [PreferencePair("f#7", user("Q"), "b", "a", 3.0)]
    swapped = collection(orig_preference="A", orig_score_A=None)
    assert records("preference_collection", swapped) == [PreferencePair("f#7", user("Q"), "a", "b", None)]
    tie = records("preference_collection", collection(orig_preference="Tie"))
    assert tie == [Skipped("f#7", "column 'orig_preference' is 'Tie', expected 'A' or 'B'")]
    against = records("preference_collection", collection(orig_preference="A"))
    assert reason(against[0]) == "the score of chosen, 2, is below the score of rejected, 5"


def step(*completions: tuple[str, int | None], chosen: int | None = 0, human: str | None = None) -> dict[str, Any]:
    rated = [{"text": text, "rating": rating, "flagged": None} for text, rating in completions]
    written = {"text": human, "rating": None, "source": "human"} if human else None
    return {"completions": rated, "human_completion": written, "chosen_completion": chosen}


def solution(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"question": {"problem": "Q"}, "label": {"steps": list(steps), "finish_reason": "found_error"}}


def test_prm800k_pairs_two_completions_of_one_step_behind_the_same_steps() -> None:
    row = solution(
        step(("first", 1)),
        step(("second", 0), ("other", -1)),
        step(("wrong", -1), ("so so", 0), ("right", 1), ("also right", 1), chosen=None),
    )
    assert records("prm800k", row) == [
        PreferencePair("f#7/2", user("Q"), "first\nsecond\nright", "first\nsecond\nwrong")
    ]


def test_prm800k_prefers_the_step_a_person_wrote_and_goes_on_from_it() -> None:
    row = solution(step(("wrong", -1), chosen=None, human="mine"), step(("good", 1), ("bad", -1)))
    assert records("prm800k", row) == [
        PreferencePair("f#7/0", user("Q"), "mine", "wrong"),
        PreferencePair("f#7/1", user("Q"), "mine\ngood", "mine\nbad"),
    ]


def test_prm800k_steps_behind_the_end_of_the_solution_are_not_read() -> None:
    row = solution(step(("good", 1), ("bad", -1), chosen=None), step(("x", 1), ("y", -1)))
    assert records("prm800k", row) == [PreferencePair("f#7/0", user("Q"), "good", "bad")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (solution(step(("a", 1)), step(("b", -1), ("c", 0), ("d", None))), "no step has a completion rated 1 beside"),
        (solution(), "column 'label' has no steps"),
        ({"question": {"problem": ""}, "label": {"steps": [step(("a", 1))]}}, "the problem is empty"),
        ({"question": "Q", "label": {}}, "column 'question' is str, expected an object"),
        (solution(step(("a", 1), chosen=3)), "the chosen completion 3 of a step is not among its 1"),
        (solution({"completions": "a", "chosen_completion": 0}), "the completions of a step are str, expected a list"),
    ],
)
def test_prm800k_refuses(row: dict[str, Any], expected: str) -> None:
    assert reason(records("prm800k", row)[0]).startswith(expected)


@pytest.mark.parametrize("flag", ["is_initial_screening_question", "is_quality_control_question"])
def test_prm800k_leaves_out_questions_that_every_labeler_was_asked(flag: str) -> None:
    row = solution(step(("good", 1), ("bad", -1)))
    assert reason(records("prm800k", row | {flag: True})[0]) == (
        f"column '{flag}' is true: such questions were served to every labeler, and repeat"
    )
    assert records("prm800k", row | {flag: False}) == records("prm800k", row)


def test_prm800k_refuses_one_step_by_itself() -> None:
    row = solution(step(("same", 1), ("same", -1)), step(("good", 1), ("bad", -1)))
    assert records("prm800k", row) == [
        Skipped("f#7/0", "chosen and rejected are the same text"),
        PreferencePair("f#7/1", user("Q"), "same\ngood", "same\nbad"),
    ]


PAIR = PreferencePair("f#7", MULTI, "good", "bad")


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": talk("Q1", "A1", "Q2"), "chosen": "good", "rejected": "bad"},
        {"chosen": talk("Q1", "A1", "Q2", "good"), "rejected": talk("Q1", "A1", "Q2", "bad")},
        {"prompt": None, "chosen": talk("Q1", "A1", "Q2", "good"), "rejected": talk("Q1", "A1", "Q2", "bad")},
        {"prompt": "Q2", "chosen": talk("Q1", "A1", "Q2", "good"), "rejected": talk("Q1", "A1", "Q2", "bad")},
        {
            "prompt": talk("Q1", "A1", "Q2"),
            "chosen": talk("Q1", "A1", "Q2", "good"),
            "rejected": talk("Q1", "A1", "Q2", "bad"),
        },
        {
            "prompt": talk("Q1", "A1", "Q2"),
            "chosen": [{"role": "assistant", "content": "good"}],
            "rejected": [{"role": "assistant", "content": "bad"}],
        },
        {
            "prompt": "Q1",
            "chosen": talk("Q1", "A1", "Q2", "good")[1:],
            "rejected": talk("Q1", "A1", "Q2", "bad")[1:],
        },
    ],
)
def test_preference_reads_every_way_to_write_a_pair(values: dict[str, Any]) -> None:
    assert records("preference", values) == [PAIR]


def test_preference_keeps_a_system_turn() -> None:
    system = {"role": "system", "content": "Be brief."}
    row = {"chosen": [system, *talk("Q", "good")], "rejected": [system, *talk("Q", "bad")]}
    prompt = (Message("system", "Be brief."), Message("user", "Q"))
    assert records("preference", row) == [PreferencePair("f#7", prompt, "good", "bad")]


TEXTS = {"prompt": "Q", "chosen": "good", "rejected": "bad"}


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        ({}, None),
        ({"margin": 1.5}, 1.5),
        ({"margin": "2"}, 2.0),
        ({"chosen_score": 5, "rejected_score": 3}, 2.0),
        ({"score_chosen": 5, "score_rejected": 5}, 0.0),
        ({"score_chosen": 5, "score_rejected": None}, None),
        ({"score_chosen": 5}, None),
        ({"margin": 1, "score_chosen": 9, "score_rejected": 2}, 1.0),
    ],
)
def test_preference_margin(scores: dict[str, Any], margin: float | None) -> None:
    assert records("preference", TEXTS | scores) == [PreferencePair("f#7", user("Q"), "good", "bad", margin)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"margin": -1}, "column 'margin' is -1, expected 0 or more"),
        ({"chosen_score": 1, "rejected_score": 2}, "the score of chosen, 1, is below the score of rejected, 2"),
        ({"rejected": "good"}, "chosen and rejected are the same text"),
        ({"rejected": " "}, "column 'rejected' is empty"),
        ({"rejected": talk("Q", "bad")}, "column 'chosen' is not a non-empty list of messages"),
        ({"prompt": 3}, "column 'prompt' is int, expected text"),
        (
            {"prompt": talk("R"), "chosen": talk("Q", "good"), "rejected": talk("Q", "bad")},
            "column 'chosen' does not begin with the turns of column 'prompt'",
        ),
    ],
)
def test_preference_refuses(values: dict[str, Any], expected: str) -> None:
    assert records("preference", TEXTS | values) == [Skipped("f#7", expected)]


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.kind == "pairs"])
def test_an_empty_row_is_refused_by_column(name: str) -> None:
    (refused,) = records(name, {})
    assert "is missing; the row has no column" in reason(refused)
