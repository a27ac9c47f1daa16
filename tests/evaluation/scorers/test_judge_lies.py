"""A judge that lies: contradictions, wrong shapes, floods, bodies and streams without end, redirects."""

import gzip
import json
import resource
import time
from pathlib import Path

import pytest

from cache import UserError
from evaluation.scorers.judge_client import MOST_BYTES
from evaluation.scorers.judge_question import read_verdict
from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import judge_suite
from tests.evaluation.scorers.test_judge_endpoint import QUESTIONS, ask

ROWS = 2


def completion(**fields: object) -> bytes:
    """A body whose answer is for A, with other fields put in."""
    return json.dumps(json.loads(Reply("[[A]]").bytes()) | fields).encode()


@pytest.mark.parametrize(
    ("text", "skipped", "unparseable"),
    [
        ("[[A]] is better. No: [[B]]", 0, 0),  # the last verdict counts
        ("[[C]]", ROWS, 2 * ROWS),
        ("[[1e999]]", ROWS, 2 * ROWS),
        ("[[NaN]]", ROWS, 2 * ROWS),
        ("Score: 11/10 for A", ROWS, 2 * ROWS),
    ],
)
def test_a_verdict_that_is_none_skips_its_row_and_a_contradiction_is_no_fault(
    text: str, skipped: int, unparseable: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(always(Reply(text))) as server:
        about, table = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, ROWS)
    assert (about.skipped, about.unparseable) == (skipped, unparseable)
    assert table["score"].drop_nulls().is_between(0, 1).all()


def test_one_verdict_whatever_is_asked_is_a_coin_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(always(Reply("[[A]]"))) as server:
        about, table = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, ROWS)
    assert (about.inconsistent, set(table["score"])) == (ROWS, {0.5})


LIES = {
    "another id and model": completion(id=["x"], model="gpt-9", object="list", created="yesterday"),
    "no number": completion(created=float("nan"), usage={"total_tokens": float("inf")}),
    "tokens below zero": completion(usage={"prompt_tokens": -1, "completion_tokens": 10**400}),
    "a flood of choices": completion(choices=json.loads(completion())["choices"] * 5000),
    "a choice by another number": completion(choices=[json.loads(completion())["choices"][0] | {"index": -7}]),
    "fields nobody knows": completion(**{f"field {number}": "x" * 100 for number in range(2000)}),
}


@pytest.mark.parametrize("name", LIES)
def test_what_surrounds_the_answer_changes_nothing(name: str) -> None:
    with endpoint(always(Reply(body=LIES[name]))) as server:
        assert ask(server, QUESTIONS[:1]) == ({0: "[[A]]"}, {})


NO_ANSWERS = {
    "a number of 5,000 digits": (b'{"choices": [' + b"9" * 5000 + b"]}", "no JSON"),
    "a deep body": (b"[" * 200_000, "no JSON"),
    "an event stream": (b"data: " + completion() + b"\n\ndata: [DONE]\n\n", "no JSON: data:"),
    "a long finish_reason": (
        completion(choices=[{"message": {"content": ""}, "finish_reason": "x" * 100_000}]),
        "holds no text",
    ),
    "a terminal's commands": (completion(error={"message": "\x1b[2J\x07 down"}), r"\\x1b\[2J\\x07 down"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_is_a_short_reason_that_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, reason = NO_ANSWERS[name]
    with endpoint(always(Reply(body=body))) as server:
        about, table = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, ROWS)
    assert (about.unanswered, about.skipped) == (2 * ROWS, ROWS)
    assert table["skipped"].str.contains(reason).all()
    assert all(len(told) < 400 and told.isprintable() for told in about.reasons)


def test_empty_lines_without_end_are_read_in_no_time() -> None:
    began = time.process_time()
    assert read_verdict("\n" * 2_000_000 + "[[A]]") == "A"
    assert read_verdict("\n \t" * 500_000 + "<think> [[A]]") is None
    assert read_verdict("[[ " * 500_000 + "[[B]]") == "B"
    assert time.process_time() - began < 5


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_that_is_too_large_is_given_up_unread(packed: bool) -> None:
    huge = b" " * (64 << 20) + completion()
    body = gzip.compress(huge, 1) if packed else huge
    del huge
    reply = Reply(body=body, headers={"Content-Encoding": "gzip"} if packed else None)
    with endpoint(always(reply)) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answers, failures = ask(server, QUESTIONS[:2], concurrency=2)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        assert answers == {}
        assert failures == dict.fromkeys(range(2), f"the body has more than {MOST_BYTES >> 20} MiB")
        assert len(server.requests) == 2, "asked again, it would send as much again"
    assert grown < 128 << 20


def test_a_body_that_is_packed_is_read() -> None:
    with endpoint(always(Reply(body=gzip.compress(completion()), headers={"Content-Encoding": "gzip"}))) as server:
        assert ask(server, QUESTIONS[:1]) == ({0: "[[A]]"}, {})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_questions_nor_key_elsewhere(status: int) -> None:
    with endpoint(always(Reply("[[A]]"))) as elsewhere:
        to = f"http://localhost:{elsewhere.server_port}/v1/chat/completions"
        with (
            endpoint(always(Reply(status=status, headers={"Location": to}))) as server,
            pytest.raises(UserError, match=rf"redirects to {to}, where no question is sent: set OPENAI_BASE_URL"),
        ):
            ask(server, QUESTIONS, concurrency=1)
        assert len(server.requests) == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize("wait", ["nan", "-5", "inf", "soon", "1e-400"])
def test_a_pause_that_is_no_time_does_not_hold_a_question(wait: str) -> None:
    def reply(_question: str, attempt: int) -> Reply:
        return Reply("done") if attempt > 1 else Reply(status=429, headers={"Retry-After": wait})

    with endpoint(reply) as server:
        began = time.monotonic()
        answers, failures = ask(server, QUESTIONS[:1])
    assert (answers, failures) == ({0: "done"}, {})
    assert time.monotonic() - began < 20
