"""Failures that come with HTTP 200: never kept, asked again by the next run, and counted as failures in a row."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cache import UserError
from evaluation.scorers.answers import answers_in
from evaluation.scorers.judge_question import question
from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import ROWS, judge_suite


def _body(**fields: object) -> Reply:
    return Reply(body=json.dumps(fields).encode())


MESSAGE = {"role": "assistant", "content": "[[A]]"}

FAILURES = {
    "error": (_body(error={"message": "upstream overloaded", "code": 502}), "upstream overloaded"),
    "error as text": (_body(error="overloaded"), "overloaded"),
    "error and no choices": (_body(id="x", error={"code": 502}, choices=None), "502"),
    "error in the choice": (
        _body(choices=[{"error": {"message": "cut connection"}, "message": MESSAGE, "finish_reason": "error"}]),
        "cut connection",
    ),
    "error of another shape": (_body(object="error", message="out of memory", code=500), "out of memory"),
    "no choices": (_body(id="x", choices=[]), "holds no answer"),
    "null choices": (_body(id="x", choices=None), "holds no answer"),
    "choices of another shape": (_body(choices={"0": "x"}), "holds no answer"),
    "null choice": (_body(choices=[None]), "holds no answer"),
    "null message": (_body(choices=[{"message": None, "finish_reason": "stop"}]), "holds no text"),
    "null content": (Reply(None), r"holds no text \(finish_reason 'stop'\)"),
    "empty": (Reply(""), "holds no text"),
    "white space": (Reply(" \n\t\u00a0"), "holds no text"),
    "a tool's call": (Reply(None, finish="tool_calls", message={"tool_calls": [{}]}), "holds no text"),
    "cut off": (Reply("[[A]], but on second", finish="length"), r"cut off before its end \(finish_reason 'length'\)"),
    "cut off, as Mistral says it": (Reply("[[A]]", finish="model_length"), "cut off before its end"),
    "cut off, as Gemini says it": (Reply("[[A]]", finish="MAX_TOKENS"), "cut off before its end"),
    "broken off": (Reply("[[A]]", finish="error"), "server broke off the answer"),
    "stopped with the server": (Reply("[[A]]", finish="abort"), "server broke off the answer"),
    "thoughts alone": (Reply(None, message={"reasoning_content": "So [[A]]."}), "holds thoughts and no text"),
    "an unfinished thought": (Reply("<think>So [[A]]."), "cut off inside a thought"),
    "HTML": (Reply(body=b"<html>\nBad gateway</html>", headers={"Content-Type": "text/html"}), "no JSON: <html> Bad"),
    "truncated": (Reply(body=Reply().bytes()[:-9]), "no JSON: "),
    "an empty body": (Reply(body=b""), "no JSON: it is empty"),
    "white space alone": (Reply(body=b"\n \n"), "no JSON: it is empty"),
    "a stream": (Reply(body=b'data: {"choices": []}\n\n', headers={"Content-Type": "text/event-stream"}), "no JSON"),
    "a list": (Reply(body=b"[1, 2]"), "no chat completion"),
    "a deep body": (Reply(body=b"[" * 100_000), "no JSON"),
    "a long number": (Reply(body=b'{"id": ' + b"9" * 5000 + b"}"), "no JSON"),
}


@pytest.mark.parametrize(("reply", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_named_and_asked_again(
    reply: Reply, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = False

    def send(_question: str, _attempt: int) -> Reply:
        return Reply("[[A]]") if good else reply

    path = tmp_path / "m.sqlite"
    with endpoint(send) as server:
        about, table = judge_suite(server, path, monkeypatch, rows=2)
        assert (about.new, about.unanswered, about.unparseable, about.skipped) == (0, 4, 0, 2)
        assert all(found.startswith("a question got no answer: ") for found in about.reasons)
        assert table["skipped"].str.contains(reason).all()
        assert len(server.requests) == 4
        good = True
        again, _ = judge_suite(server, path, monkeypatch, rows=2)
    assert (again.new, again.unanswered, again.skipped) == (4, 0, 0)


@pytest.mark.parametrize("name", ["error", "no choices", "null content", "cut off", "HTML"])
def test_failures_in_a_row_end_the_run_and_the_next_one_asks_all_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    with endpoint(always(FAILURES[name][0])) as server:
        with pytest.raises(UserError, match="left 10 questions in a row without an answer") as caught:
            judge_suite(server, path, monkeypatch)
        assert len(server.requests) == 10
        assert "delete" not in str(caught.value)
        assert "remove" not in str(caught.value)
        server.reply = always(Reply("[[A]]"))
        about, _ = judge_suite(server, path, monkeypatch)
    assert (about.new, about.skipped) == (2 * ROWS, 0)


def test_answers_between_failures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.sqlite"
    with endpoint(lambda question, _: Reply(None) if "Question 3?" in question else Reply("[[A]]")) as server:
        first, table = judge_suite(server, path, monkeypatch)
        server.reply = always(Reply("[[B]]"))
        second, _ = judge_suite(server, path, monkeypatch)
    assert (first.new, first.unanswered, first.skipped) == (2 * ROWS - 2, 2, 1)
    assert table.filter(table["skipped"].is_not_null())["row"].unique().to_list() == ["3"]
    assert (second.new, second.skipped) == (2, 0)


@pytest.mark.parametrize("kept", ["", "  \n", "<think>At first sight [[B]], but let me"])
def test_failures_that_an_earlier_version_kept_are_asked_again(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    with endpoint(always(Reply("[[A]]"))) as server:
        judge_suite(server, path, monkeypatch)
        with answers_in(path) as answers:
            keys = [key.decode() for (key,) in answers._connection.execute("SELECT key FROM answers")]
            answers.put((key, kept) for key in keys[:5])
        about, _ = judge_suite(server, path, monkeypatch)
    assert (about.new, about.skipped) == (5, 0)


def test_answers_that_an_earlier_version_kept_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are those of version 0.1.0: a digest of address, model, temperature and messages."""
    path = tmp_path / "m.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        for first, second, answer in (("Good", "Bad", "[[A]]"), ("Bad", "Good", "[[B]]")):
            messages = question(
                [{"role": "user", "content": "Question 0?"}], f"{first} answer 0.", f"{second} answer 0."
            )
            key = hashlib.sha256(json.dumps(["http://judge/v1", "m", 0.0, messages]).encode()).hexdigest()
            connection.execute("INSERT INTO answers VALUES (?, ?)", (key, answer))
    about, table = judge_suite("http://judge/v1", path, monkeypatch, rows=1)
    assert (about.new, about.skipped) == (0, 0)
    assert table["score"].to_list() == [1.0, 0.0]
