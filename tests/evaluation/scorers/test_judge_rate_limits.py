"""Rate limits: the pause that the server asks for is kept, and a limit that does not pass ends the run unharmed."""

from pathlib import Path

import pytest

from cache import UserError
from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import ROWS, judge_suite
from tests.evaluation.scorers.test_judge_endpoint import QUESTIONS, ask


def test_the_pause_is_kept_by_every_question() -> None:
    with endpoint(
        lambda _, attempt: Reply("done") if attempt > 1 else Reply(status=429, headers={"Retry-After": "1"})
    ) as server:
        answers, failures = ask(server, concurrency=6)
    assert (len(answers), failures) == (6, {})
    assert set(server.asked.values()) == {2}
    assert server.times[6] - server.times[0] >= 1.0


@pytest.mark.parametrize("wait", ["600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_long_pause_is_named_and_not_waited_for(wait: str) -> None:
    with endpoint(always(Reply(status=429, headers={"Retry-After": wait}))) as server:
        answers, failures = ask(server, QUESTIONS[:1])
    assert answers == {}
    assert f"(Retry-After: {wait})" in failures[0]
    assert len(server.requests) == 1


def test_a_limit_that_does_not_pass_ends_the_run_and_keeps_the_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    limit = Reply(status=429, headers={"Retry-After": "3600"})
    with endpoint(lambda _question, _attempt: Reply("[[A]]") if len(server.requests) <= 5 else limit) as server:
        with pytest.raises(UserError, match=r"in a row without an answer, the last: RateLimitError.*Retry-After: 3600"):
            judge_suite(server, path, monkeypatch)
        assert len(server.requests) == 15
        server.reply = always(Reply("[[A]]"))
        about, _ = judge_suite(server, path, monkeypatch)
    assert (about.new, about.skipped) == (2 * ROWS - 5, 0)
