"""A kind of scorer: takes a suite's responses with their texts, gives each a score or a reason why not."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from cache.progress import Progress
from evaluation.columns import ROW, TEXT
from evaluation.results import Scorer
from evaluation.scorers.answers import Answers


@dataclass(frozen=True, slots=True)
class Task:
    """Responses to be scored, and the model to score them."""

    suite: str
    rows: pl.DataFrame
    """One line a response: the columns `TEXT`, `prompt` (a list of messages) and `response`."""
    name: str
    """The scorer's name in tables."""
    scorer: str
    """Kind and place, such as hf:/models/reward."""
    model: str
    """A folder or org/name on the hub, or the name that an endpoint knows the model by."""
    device: str = "auto"
    """Device of a reward model: auto, cpu, cuda or cuda:N."""
    batch_tokens: int = 16384
    """Tokens of a reward model's batch, padding counted."""
    concurrency: int = 8
    """Questions to a judge under way at a time."""
    temperature: float | None = 0.0
    """Temperature of a judge; None leaves it to the server."""


@dataclass(frozen=True, slots=True)
class SuiteScores:
    """Scores that a scorer gave the responses of a suite."""

    about: Scorer
    table: pl.DataFrame
    """The columns `TEXT`, `score` (null where there is none) and `skipped` (the reason why)."""


@dataclass(frozen=True, slots=True)
class ScorerKind:
    """One kind of scorer."""

    method: str
    """The method in tables."""
    local: bool
    """Whether the model may be a folder of this machine."""
    score: Callable[[Task, Answers, Progress], SuiteScores]
    """Score a task's responses; answers of an earlier command are used again, and new ones are stored."""


def score_table(rows: pl.DataFrame, scores: Sequence[float | None], reasons: Sequence[str | None]) -> pl.DataFrame:
    """The table of `SuiteScores` for a task's rows, from each response's score and reason."""
    return rows.select(TEXT).with_columns(
        score=pl.Series(scores, dtype=pl.Float64), skipped=pl.Series(reasons, dtype=pl.String)
    )


def count_rows(table: pl.DataFrame) -> tuple[int, dict[str, int]]:
    """Number of rows of a score table, and reason -> rows skipped for it."""
    skipped = table.filter(pl.col("score").is_null()).unique(ROW, maintain_order=True)
    return table.unique(ROW).height, dict(Counter(skipped["skipped"].to_list()))
