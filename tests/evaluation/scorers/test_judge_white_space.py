"""White space that keeps a connection alive: the answer after it counts, and white space without end is given up."""

import time

from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.test_judge_endpoint import QUESTIONS, ask


def test_an_answer_after_white_space_counts() -> None:
    with endpoint(always(Reply("done", spaces=0.3))) as server:
        assert ask(server, QUESTIONS[:2]) == ({0: "done", 1: "done"}, {})


def test_white_space_without_end_is_given_up_and_tried_again() -> None:
    with endpoint(lambda _, attempt: Reply("done", spaces=60.0 if attempt == 1 else 0.0)) as server:
        began = time.monotonic()
        assert ask(server, QUESTIONS[:1], timeout=0.3) == ({0: "done"}, {})
    assert time.monotonic() - began < 20
    assert len(server.requests) == 2


def test_nothing_but_white_space_is_a_failure() -> None:
    with endpoint(always(Reply("done", spaces=60.0))) as server:
        answers, failures = ask(server, QUESTIONS[:1], timeout=0.3, retries=1)
    assert answers == {}
    assert "APITimeoutError" in failures[0]
