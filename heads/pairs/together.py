"""Several minimisations over the same data, whose evaluations are answered together by one pass over it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


def together(
    works: Sequence[Callable[[Callable[[Question], Answer]], Result]],
    answer: Callable[[list[Question]], list[Answer]],
) -> list[Result]:
    """Run works, each in a thread of its own; whenever all that are not done wait for an answer, answer them all.

    Args:
        works: take a function that they may call with a question, and which returns its answer.
        answer: questions, in the order of their works -> their answers; called in the caller's thread.

    Returns:
        What each work returned.

    Raises:
        Exception: `answer` or a work raised it.
    """
    asked: SimpleQueue[tuple[int, Question | None]] = SimpleQueue()  # without a question when a work is done
    replies: list[SimpleQueue[Answer | BaseException]] = [SimpleQueue() for _ in works]

    def run(number: int) -> Result:
        def ask(question: Question) -> Answer:
            asked.put((number, question))
            reply = replies[number].get()
            if isinstance(reply, BaseException):
                raise reply
            return reply

        try:
            return works[number](ask)
        finally:
            asked.put((number, None))

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(run, number) for number in range(len(works))]
        try:
            active = len(works)
            while active:
                waiting: dict[int, Question] = {}
                while len(waiting) < active:
                    number, question = asked.get()
                    if question is None:
                        active -= 1
                    else:
                        waiting[number] = question
                numbers = sorted(waiting)
                answers = answer([waiting[number] for number in numbers]) if numbers else []
                for number, reply in zip(numbers, answers, strict=True):
                    replies[number].put(reply)
        except BaseException as error:
            for each in replies:  # else their threads would wait for ever
                each.put(error)
            raise
        return [each.result() for each in running]
