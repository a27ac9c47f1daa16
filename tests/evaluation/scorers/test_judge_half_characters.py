"""Answers with lone surrogates, which neither UTF-8 nor SQLite can hold: they are replaced, and the verdict counts."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import ROWS, judge_suite

LEFT, RIGHT = "\ud83d", "\ude00"
"""Halves of one emoji."""


def _stored(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {answer for (answer,) in connection.execute("SELECT answer FROM answers")}


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (f"{LEFT} [[A]]", "\ufffd [[A]]"),
        (f"{RIGHT}{LEFT} [[A]]", "\ufffd\ufffd [[A]]"),
        (f"{LEFT}{RIGHT} [[A]]", "\U0001f600 [[A]]"),
        ([{"type": "text", "text": LEFT}, {"type": "text", "text": f"{RIGHT} [[A]]"}], "\U0001f600 [[A]]"),
        ("nothing \0 [[A]]", "nothing \0 [[A]]"),
    ],
)
def test_half_characters_are_replaced(
    content: object, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(always(Reply(content))) as server:
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
        again, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
    assert _stored(tmp_path / "m.sqlite") == {stored}
    assert (about.new, about.inconsistent, again.new) == (2 * ROWS, ROWS, 0)


def test_bytes_that_are_no_utf8_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = Reply("HERE [[A]]").bytes().replace(b"HERE", b"\xed\xa0\xbd\xff")
    with endpoint(always(Reply(body=b"\xef\xbb\xbf" + body))) as server:  # and a byte order mark
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
    assert about.inconsistent == ROWS


@pytest.mark.parametrize(
    "reply",
    [
        Reply(message={"refusal": f"No {LEFT}"}, text=None),
        Reply(body=json.dumps({"error": {"message": f"down {LEFT}"}}).encode()),
        Reply(body=json.dumps({"error": {"message": f"bad {LEFT}"}}).encode(), status=400),
    ],
)
def test_reasons_can_be_written(reply: Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(reply)) as server:
        about, table = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, rows=2)
    table.write_parquet(tmp_path / "m.parquet")
    assert about.skipped == 2
    json.dumps(about.reasons, ensure_ascii=False).encode()
