"""A small suite of two responses a row, and a judge asked about it through a real server."""

from pathlib import Path

import polars as pl
import pytest

from cache.progress import silent
from evaluation.results import JudgeScorer
from evaluation.scorers.answers import answers_in
from evaluation.scorers.judge import judge_rows
from evaluation.scorers.scorer import SuiteScores, Task
from tests.evaluation.scorers.endpoint_server import Server

ROWS = 8


def suite_rows(rows: int = ROWS) -> pl.DataFrame:
    """A chosen and a rejected response a row."""
    return pl.DataFrame(
        [
            {
                "suite": "own",
                "subset": "",
                "row": str(row),
                "chosen": chosen,
                "place": 0,
                "prompt_key": f"p{row}",
                "response_key": f"r{row}{chosen}",
                "prompt": [{"role": "user", "content": f"Question {row}?"}],
                "response": f"{'Good' if chosen else 'Bad'} answer {row}.",
            }
            for row in range(rows)
            for chosen in (True, False)
        ]
    )


def judge_suite(
    server: Server | str, path: Path, monkeypatch: pytest.MonkeyPatch, rows: int = ROWS, concurrency: int = 1
) -> tuple[JudgeScorer, pl.DataFrame]:
    """Ask a server, or an address, to judge the suite, with the answers of a file; the result and its table."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_BASE_URL", server if isinstance(server, str) else server.url)
    task = Task("own", suite_rows(rows), "m", "judge:m", "m", concurrency=concurrency)
    with answers_in(path) as answers:
        scores: SuiteScores = judge_rows(task, answers, silent)
    assert isinstance(scores.about, JudgeScorer)
    return scores.about, scores.table
