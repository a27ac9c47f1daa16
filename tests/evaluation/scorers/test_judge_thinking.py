"""Thoughts before the verdict: the verdict after them counts, one inside them does not."""

import pytest

from evaluation.scorers.judge_question import read_verdict
from evaluation.scorers.judge_thinking import MARKERS, after_thinking
from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.test_judge_endpoint import QUESTIONS, ask


@pytest.mark.parametrize(("opening", "closing"), MARKERS)
def test_the_verdict_after_the_thought_counts(opening: str, closing: str) -> None:
    draft = f"{opening}\nFirst [[B]].\n"
    assert read_verdict(f"{draft}{closing}\n\nSo [[A]]") == "A"
    assert read_verdict(f"First [[B]].\n{closing}\n[[A]]") == "A"  # the opening marker is in the prompt
    assert read_verdict(f"{draft}{closing}\n\nNeither is better.") is None
    assert read_verdict(f"{draft}{closing}") is None
    assert read_verdict(f"{draft} [[A]]") is None
    assert read_verdict(f"{draft}{closing}\nWait.\n{opening} [[A]]") is None
    assert read_verdict(f"{draft}{closing}\nWait.\n{opening} [[A]] {closing} [[TIE]]") == "tie"


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        ("<THINK>a</Think> b ", "b"),
        ("  \n<think></think>\n\n[[A]]", "[[A]]"),
        ("The <think> block of answer A is empty. [[B]]", "The <think> block of answer A is empty. [[B]]"),
        ("<think>a", None),
        ("  <think>a", None),
        ("", ""),
    ],
)
def test_the_answer_is_told_from_the_thought(answer: str, spoken: str | None) -> None:
    assert after_thinking(answer) == spoken


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_in_a_field_of_their_own_are_no_answer(field: str) -> None:
    with endpoint(always(Reply("[[A]]", message={field: "First [[B]]."}))) as server:
        assert ask(server, QUESTIONS[:1]) == ({0: "[[A]]"}, {})
    with endpoint(always(Reply(None, message={field: "First [[B]]."}, finish="length"))) as server:
        answers, failures = ask(server, QUESTIONS[:1])
    assert answers == {}
    assert "cut off before its end" in failures[0]
