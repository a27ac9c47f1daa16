"""`armorm score-suite`: a suite's responses scored by another reward model, or by a language model as a judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cache import UserError
from evaluation.suites import SUITES
from pipelines.suite_names import SET_OF_RECIPE, suite_named
from pipelines.terminal import (
    JsonOption,
    RecipeOption,
    console,
    finish,
    interrupted_by_termination,
    open_run,
    reporting,
)

if TYPE_CHECKING:
    import polars as pl

    from cache.progress import Progress
    from evaluation.results import Scorer
    from pipelines.run import Run

EXAMPLE = "armorm score-suite --recipe recipes/demo.toml --scorer hf:other-rm"


def command(
    recipe: RecipeOption,
    scorer: Annotated[
        str,
        typer.Option(
            help="hf:FOLDER or hf:ORG/NAME, a reward model that transformers loads as a sequence classifier of one"
            " output; armorm:FOLDER or armorm:ORG/NAME, an exported model or the published checkpoint; or judge:MODEL,"
            " a language model behind the OpenAI-compatible endpoint of OPENAI_BASE_URL, with the key of"
            " OPENAI_API_KEY.",
        ),
    ],
    suite: Annotated[
        str, typer.Option(metavar=f"[{'|'.join([*SUITES, SET_OF_RECIPE])}]", help="The suite to score.")
    ] = "rewardbench",
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reward model's batch, with padding.")] = 16384,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions to a judge under way at a time.")] = 8,
    temperature: Annotated[
        float,
        typer.Option(min=-1.0, help="Temperature of a judge; -1 leaves it to the server, for models that reason."),
    ] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Score a suite's rows with another reward model or an LLM judge; eval then judges them beside the rules."""
    run = open_run(recipe)
    with reporting() as progress, interrupted_by_termination():
        result = score_suite(
            run,
            suite_named(suite, run.recipe),
            scorer,
            batch_tokens=batch_tokens,
            concurrency=concurrency,
            temperature=None if temperature < 0 else temperature,
            progress=progress,
        )
    finish(result, as_json, lambda: show(result, run))


def score_suite(
    run: "Run",
    suite: str,
    scorer: str,
    *,
    batch_tokens: int = 16384,
    concurrency: int = 8,
    temperature: float | None = 0.0,
    progress: "Progress",
) -> "Scorer":
    """Score a suite's responses with another scorer, and write `scorers/<suite>/<name>.parquet` and `.json`.

    Scores and answers of an earlier command are used again.

    Args:
        run: holds the rows.
        suite: a name in `SUITES`.
        scorer: a kind in `SCORERS`, a colon, and a folder, org/name, or a model of the endpoint.
        batch_tokens: of a reward model.
        concurrency: questions to a judge under way at a time.
        temperature: of a judge; None leaves it to the server.
        progress: told responses or questions done.

    Raises:
        UserError: there are no rows, or the scorer cannot be used.
    """
    from evaluation.scorers import SCORERS
    from evaluation.scorers.answers import answers_in
    from evaluation.scorers.scorer import Task
    from pipelines.artefacts import SCORERS as FOLDER
    from pipelines.artefacts import scorer as artefact

    kind, _, model = scorer.partition(":")
    if kind not in SCORERS or not model:
        raise UserError(
            f"--scorer {scorer}: write hf:FOLDER or hf:ORG/NAME for a reward model, armorm: for an exported one or the"
            " published checkpoint, or judge:MODEL for a judge"
        )
    rows = _rows(run, suite)
    local = SCORERS[kind].local and Path(model).exists()
    name = Path(model).resolve().name if local else model
    scorer = f"{kind}:{Path(model).resolve()}" if local else scorer
    _refuse_taken(run, suite, name, scorer)
    task = Task(suite, rows, name, scorer, model, run.recipe.extract.device, batch_tokens, concurrency, temperature)
    file = quote(name, safe="")  # other names give other file names
    with run.writing_scores(artefact(suite, file)):
        with answers_in(run.path(FOLDER) / f"{file}.sqlite") as answers:
            scores = SCORERS[kind].score(task, answers, progress)
        run.write(artefact(suite, file), scores.about, rows=scores.table)
    return scores.about


def _rows(run: "Run", suite: str) -> "pl.DataFrame":
    """The responses of a suite's rows that extraction kept, with their texts."""
    import polars as pl

    from evaluation.columns import RESPONSE, TEXT
    from pipelines.artefacts import SUITE_ROWS, SUITE_TEXTS, TABLES

    names = [settings.name for settings in run.recipe.suites if settings.source in SUITES[suite].sources]
    table = run.table(SUITE_ROWS).filter(pl.col("suite").is_in(names) & pl.col("missing").is_null()).select(TEXT)
    rows = table.join(run.table(SUITE_TEXTS), on=RESPONSE, how="inner", maintain_order="left")
    if len(rows) != len(table):
        raise UserError(f"{run.path(TABLES)} lacks texts of {suite}: run `armorm extract` again")
    if rows.is_empty():
        raise UserError(f"the run has no row of {suite}: add a [[suites]] table to the recipe, and extract again")
    return rows


def _refuse_taken(run: "Run", suite: str, name: str, scorer: str) -> None:
    """See that the name can stand for this scorer alone."""
    from gating.rules import RULES
    from heads.kinds.registry import PAIRWISE
    from pipelines.artefacts import SCORERS

    if not name.isprintable():
        raise UserError(f"--scorer {name!r} cannot be a name: it must be a line of printable text")
    if name in RULES or name in PAIRWISE:
        raise UserError(f"--scorer: a rule is called {name!r} too: give the folder another name")
    for other in run.scorers(suite):
        if other.about.name == name and other.about.scorer != scorer:
            raise UserError(
                f"--scorer: {name!r} stands for {other.about.scorer} in {run.path(SCORERS) / suite}: give the folder"
                " another name, or move the files of that one to another folder"
            )


def show(result: "Scorer", run: "Run") -> None:
    """Print how much was scored, and why something was not."""
    from evaluation.results import JudgeScorer
    from pipelines.artefacts import SCORERS

    out = console()
    out.print(
        f"{result.name} ({result.method}): {result.rows - result.skipped:,} of {result.rows:,} rows of {result.suite}"
        f" judged, {result.new:,} answers new, {result.seconds:.1f} s; {run.path(SCORERS) / result.suite}",
        highlight=False,
    )
    if isinstance(result, JudgeScorer):
        out.print(
            f"{result.pairs:,} pairs asked in both orders: {result.inconsistent:,} inconsistent, {result.tied:,} tied,"
            f" {result.unparseable:,} answers without a verdict, {result.unanswered:,} questions without an answer",
            highlight=False,
        )
    for reason, count in result.reasons.items():
        out.print(f"not judged: {count:,} × {reason}", highlight=False)
    out.print(f"beside the rules: armorm eval --suite {result.suite}, and armorm leaderboard")
