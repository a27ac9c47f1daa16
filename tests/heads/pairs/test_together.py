"""Works in threads whose questions are answered together."""

import threading
from collections.abc import Callable

import pytest

from heads.pairs.together import together

Ask = Callable[[int], int]


def counting(times: int) -> Callable[[Ask], list[int]]:
    """A work that asks so many times."""
    return lambda ask: [ask(number) for number in range(times)]


def test_works_that_go_on_are_answered_at_once() -> None:
    asked = []

    def answer(questions: list[int]) -> list[int]:
        asked.append(questions)
        return [10 * question for question in questions]

    results = together([counting(3), counting(0), counting(1), counting(3)], answer)
    assert results == [[0, 10, 20], [], [0], [0, 10, 20]]
    assert asked == [[0, 0, 0], [1, 1], [2, 2]]


def test_an_error_of_an_answer_ends_every_work() -> None:
    def answer(questions: list[int]) -> list[int]:
        if questions[0] == 1:
            raise OSError("the disk is gone")
        return questions

    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        together([counting(5), counting(5)], answer)
    assert threading.active_count() == before


def test_an_error_of_a_work_is_raised_when_the_others_are_done() -> None:
    done = []

    def breaks(ask: Ask) -> list[int]:
        ask(0)
        raise ValueError("this work broke")

    def goes_on(ask: Ask) -> list[int]:
        done.append(counting(4)(ask))
        return done[0]

    with pytest.raises(ValueError, match="this work broke"):
        together([breaks, goes_on], lambda questions: questions)
    assert done == [[0, 1, 2, 3]]
