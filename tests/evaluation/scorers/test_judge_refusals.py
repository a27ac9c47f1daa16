"""A judge that refuses has answered: the refusal is kept, holds no verdict, and does not count as a failure."""

from pathlib import Path

import pytest

from tests.evaluation.scorers.endpoint_server import Reply, always, endpoint
from tests.evaluation.scorers.judged_suite import judge_suite

ROWS = 12
"""More questions than failures in a row end a run."""


@pytest.mark.parametrize(
    "reply",
    [
        Reply(None, message={"refusal": "I cannot help with that."}),
        Reply("", message={"refusal": "I will not write [[A]]."}),
        Reply([{"type": "refusal", "refusal": "No."}]),
        Reply(None, finish="content_filter"),
        Reply("The first ans", finish="content_filter"),
        Reply("[[A]] for", finish="SAFETY"),
    ],
)
def test_a_refusal_is_kept_and_holds_no_verdict(reply: Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(reply)) as server:
        about, table = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, ROWS)
        again, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch, ROWS)
    assert (about.new, about.unanswered, about.unparseable) == (2 * ROWS, 0, 2 * ROWS)
    assert about.reasons == again.reasons == {"the judge refused to answer": ROWS}
    assert table["score"].null_count() == 2 * ROWS
    assert (again.new, len(server.requests)) == (0, 2 * ROWS)


@pytest.mark.parametrize("refusal", [None, "", "  "])
def test_an_empty_refusal_is_none(refusal: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(always(Reply("[[A]]", message={"refusal": refusal}))) as server:
        about, _ = judge_suite(server, tmp_path / "m.sqlite", monkeypatch)
    assert about.unparseable == 0
