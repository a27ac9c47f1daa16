"""Answers that come as a list of parts: the text parts are joined, all others are passed over."""

from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import ROWS, judge_suite

THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Surely [[B]]?"}]}


@pytest.mark.parametrize(
    "content",
    [
        [THOUGHT, {"type": "text", "text": "[[A]]"}],
        [{"type": "text", "text": "[[A]]"}, THOUGHT],
        [{"type": "text", "text": "Reasons. [["}, {"type": "text", "text": "A]]"}],
        [{"type": "output_text", "text": "[[A]]"}],
        [{"text": "[[A]]"}],
        ["Reasons.", "[[A]]"],
        [
            None,
            3,
            {"type": "image_url", "image_url": {"url": "x"}},
            {"type": "text"},
            {"type": "text", "text": "[[A]]"},
        ],
        {"type": "text", "text": "[[A]]"},
    ],
)
def test_the_text_parts_hold_the_verdict(content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(Reply(content))) as server:
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
    assert (about.new, about.unparseable, about.unanswered) == (2 * ROWS, 0, 0)
    assert (about.skipped, about.inconsistent) == (0, ROWS)  # the same letter in both orders


def test_parts_without_a_verdict_are_an_answer_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(Reply([THOUGHT, {"type": "text", "text": "Both are fine."}]))) as server:
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
        again, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
    assert (about.unparseable, about.reasons) == (2 * ROWS, {"an answer holds no verdict": ROWS})
    assert again.new == 0


@pytest.mark.parametrize("content", [[THOUGHT], [], [{"type": "image_url"}], 3, {"verdict": "[[A]]"}])
def test_parts_without_text_are_a_failure(content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(Reply(content))) as server:
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, rows=2)
        again, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, rows=2)
    assert (about.new, about.unanswered) == (0, 4)
    assert again.unanswered == 4
    assert len(server.requests) == 8
