"""The question to a judge, and the reading of its answer."""

import pytest

from evaluation.scorers.judge_question import chosen_points, question, read_verdict


def test_the_question_holds_all_turns_and_both_answers_in_order() -> None:
    prompt = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "2 + 2?"},
    ]
    system, asked = question(prompt, "four", "five")
    assert system["role"] == "system"
    order = [asked["content"].index(text) for text in ("Hi", "Hello", "2 + 2?", "four", "five")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("A is right.\n[[A]]", "A"),
        ("[[b]]", "B"),
        ("[[ TIE ]]", "tie"),
        ("I first thought [[A]], but no:\n[[B]]", "B"),
        ("A", None),
        ("", None),
        ("[A]", None),
        ("[[C]]", None),
        ("[[A or B]]", None),
    ],
)
def test_the_last_verdict_counts(answer: str, verdict: str | None) -> None:
    assert read_verdict(answer) == verdict


def test_what_the_chosen_response_wins_over_both_orders() -> None:
    assert chosen_points("A", "B") == 1.0
    assert chosen_points("B", "A") == 0.0
    assert chosen_points("A", "A") == chosen_points("B", "B") == chosen_points("tie", "tie") == 0.5
    assert chosen_points("A", "tie") == chosen_points("tie", "B") == 0.75
    assert chosen_points("B", "tie") == chosen_points("tie", "A") == 0.25
