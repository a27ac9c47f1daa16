"""`armorm score-suite`: a suite's responses scored by another reward model, or by a language model as a judge."""

from pathlib import Path

import polars as pl

from cache import UserError
from cache.progress import Progress
from evaluation.columns import RESPONSE, TEXT
from evaluation.results import Scorer
from evaluation.scorers import SCORERS
from evaluation.scorers.answers import answers_in
from evaluation.scorers.scorer import Task
from evaluation.suites import SUITES
from extract.tables import SUITE_TEXTS, read_table
from gating.rules import RULES
from heads.kinds.registry import PAIRWISE
from pipelines.artefacts import read_run
from pipelines.other_scorers import file_name, read_other_scores, scorers_folder, write_other_scores
from pipelines.recipe import Recipe


def score_elsewhere(
    recipe: Recipe,
    suite: str,
    scorer: str,
    *,
    batch_tokens: int,
    concurrency: int,
    temperature: float | None,
    progress: Progress,
) -> tuple[Scorer, Path]:
    """Score a suite's responses with another scorer, and write `scorers/<suite>/<name>.parquet` and `.json`.

    What was computed or answered before is not computed or asked again.

    Args:
        recipe: whose rows.
        suite: a name in `SUITES`.
        scorer: `hf:` or, for a model with a gate, `armorm:` and a folder or org/name; or `judge:` and a model of
            the endpoint.
        batch_tokens: of a reward model.
        concurrency: questions to a judge under way at a time.
        temperature: of a judge; None leaves it to the server.
        progress: told responses or questions done.

    Returns:
        What the JSON file holds, and the file of the scores.

    Raises:
        UserError: there are no rows, or the scorer cannot be used.
    """
    read_run(recipe)
    kind, _, model = scorer.partition(":")
    if kind not in SCORERS or not model:
        raise UserError(
            f"--scorer {scorer}: write hf:FOLDER or hf:ORG/NAME for a reward model, armorm: for an exported one or the"
            " published checkpoint, or judge:MODEL for a judge"
        )
    rows = _rows(recipe, suite)
    found = SCORERS[kind]
    local = found.local and Path(model).exists()
    name = Path(model).resolve().name if local else model
    scorer = f"{kind}:{Path(model).resolve()}" if local else scorer
    _refuse_taken(recipe, suite, name, scorer)
    task = Task(suite, rows, name, scorer, model, recipe.extract.device, batch_tokens, concurrency, temperature)
    with answers_in(recipe.folder / "scorers" / f"{file_name(name)}.sqlite") as answers:
        scores = found.score(task, answers, progress)
    return scores.about, write_other_scores(recipe, suite, scores)


def _rows(recipe: Recipe, suite: str) -> pl.DataFrame:
    """The responses of a suite's rows that are there, with their texts."""
    names = [settings.name for settings in recipe.suites if settings.source in SUITES[suite].sources]
    table = read_table(recipe.folder / "tables", "suites")
    table = table.filter(pl.col("suite").is_in(names) & pl.col("missing").is_null()).select(TEXT)
    texts = read_table(recipe.folder / "tables", "suite_texts").select(list(SUITE_TEXTS))
    rows = table.join(texts, on=RESPONSE, how="inner", maintain_order="left")
    if len(rows) != len(table):
        raise UserError(f"{recipe.folder / 'tables'} lacks texts of {suite}: run `armorm extract` again")
    if rows.is_empty():
        raise UserError(f"the run has no row of {suite}: add a [[suites]] table to the recipe, and extract again")
    return rows


def _refuse_taken(recipe: Recipe, suite: str, name: str, scorer: str) -> None:
    """See that the name can stand for this scorer alone."""
    if not name.isprintable():
        raise UserError(f"--scorer {name!r} cannot be a name: it must be a line of printable text")
    if name in RULES or name in PAIRWISE:
        raise UserError(f"--scorer: a rule is called {name!r} too: give the folder another name")
    for other in read_other_scores(recipe, suite):
        if other.about.name == name and other.about.scorer != scorer:
            raise UserError(
                f"--scorer: {name!r} stands for {other.about.scorer} in {scorers_folder(recipe, suite)}:"
                " give the folder another name, or remove the files of that one"
            )
