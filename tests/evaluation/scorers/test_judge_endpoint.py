"""Asking through a real server that is slow, busy, broken, cut off, or talks nonsense."""

import time

import pytest

from cache import UserError
from evaluation.scorers.judge_endpoint import Endpoint
from tests.evaluation.scorers.endpoint_server import Reply, Server, always, endpoint

QUESTIONS = [[{"role": "user", "content": f"question {number}"}] for number in range(6)]


def ask(server: Server, questions: list[list[dict[str, str]]] = QUESTIONS, **settings: object) -> tuple[dict, dict]:
    """Answers and failures by place."""
    answers: dict[int, str] = {}
    where = Endpoint("m", server.url, "secret", **settings)  # type: ignore[arg-type]
    failures = where.ask_all(questions, answers.__setitem__)
    return answers, failures


def test_every_question_is_asked_once_with_key_model_and_temperature() -> None:
    with endpoint(lambda question, _: Reply(f"answer to {question}")) as server:
        answers, failures = ask(server)
    assert answers == {number: f"answer to question {number}" for number in range(6)}
    assert failures == {}
    assert set(server.asked.values()) == {1}
    assert server.keys == {"Bearer secret"}
    assert {(request["model"], request["temperature"]) for request in server.requests} == {("m", 0.0)}


def test_a_temperature_can_be_left_to_the_server() -> None:
    with endpoint(always(Reply())) as server:
        ask(server, temperature=None)
    assert all("temperature" not in request for request in server.requests)


def test_no_more_questions_are_under_way_than_asked_for() -> None:
    with endpoint(always(Reply(delay=0.05))) as server:
        ask(server, concurrency=3)
    assert server.most_under_way == 3


def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    def reply(question: str, attempt: int) -> Reply:
        return Reply(status=429, headers={"Retry-After": "1"}) if attempt == 1 else Reply("done")

    with endpoint(reply) as server:
        answers, failures = ask(server, QUESTIONS[:1])
    assert (answers, failures) == ({0: "done"}, {})
    assert server.times[1] - server.times[0] >= 1.0


def test_errors_of_the_server_and_cut_connections_are_tried_again() -> None:
    def reply(question: str, attempt: int) -> Reply:
        if attempt > 1:
            return Reply("done")
        return Reply(status=500) if question.endswith(("0", "1")) else Reply(cut=True)

    with endpoint(reply) as server:
        answers, failures = ask(server, QUESTIONS[:4])
    assert answers == dict.fromkeys(range(4), "done")
    assert failures == {}


def test_a_slow_answer_is_given_up_and_tried_again() -> None:
    with endpoint(lambda _, attempt: Reply("done", delay=2.0 if attempt == 1 else 0.0)) as server:
        answers, _ = ask(server, QUESTIONS[:1], timeout=0.3)
    assert answers == {0: "done"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>not JSON</html>"),
        Reply(body=b"<html>not JSON</html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"[1, 2]"),
        Reply(status=400),
        Reply(status=503),
    ],
)
def test_a_question_that_gets_no_answer_is_named_and_the_others_go_on(reply: Reply) -> None:
    with endpoint(lambda question, _: reply if question == "question 2" else Reply("done")) as server:
        answers, failures = ask(server, retries=1)
    assert set(answers) == {0, 1, 3, 4, 5}
    assert list(failures) == [2]
    assert failures[2]


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "refuses the key"), (403, "refuses the key"), (404, "knows no model 'm'")]
)
def test_what_no_question_can_get_past_ends_the_run_at_once(status: int, sentence: str) -> None:
    with endpoint(always(Reply(status=status))) as server, pytest.raises(UserError, match=sentence):
        ask(server)
    assert len(server.requests) <= len(QUESTIONS)


def test_a_server_that_is_down_ends_the_run() -> None:
    with endpoint(always(Reply())) as server:
        pass
    began = time.monotonic()
    many = [[{"role": "user", "content": str(number)}] for number in range(200)]
    with pytest.raises(UserError, match="left 10 questions in a row without an answer"):
        ask(server, many, retries=0)
    assert time.monotonic() - began < 20


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="set OPENAI_API_KEY"):
        Endpoint.from_environment("m")


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[judge\]'"):
        Endpoint.from_environment("m")


def test_a_password_in_the_url_is_not_shown() -> None:
    where = Endpoint("m", "https://me:secret@host:8000/v1?token=secret", "k")
    assert where.address == "https://host:8000/v1"
