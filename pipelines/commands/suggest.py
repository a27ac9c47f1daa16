"""`armorm suggest`: which unrated rows would teach a run's heads most."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cache import UserError
from pipelines.terminal import (
    JsonOption,
    RecipeOption,
    choice,
    console,
    finish,
    interrupted_by_termination,
    open_run,
    reporting,
)

if TYPE_CHECKING:
    from cache.progress import Progress
    from export.candidates import CandidatePool
    from export.ends import Destination, Source
    from heads.ridge.batch_design import Batch, Criterion
    from heads.ridge.design_factors import DesignFactors
    from heads.ridge.uncertainty import Uncertainty
    from pipelines.results import Suggestions
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm suggest --recipe recipes/demo.toml --input rows.jsonl -n 200 --output to_rate.jsonl"

ADDED = ("row", "place", "rank", "gain", "leverage", "quantile", "objectives", "gains")
"""Keys that a suggestion adds to its row."""

SHOWN = 10
"""Suggestions that are shown on the terminal."""

SHOWN_SKIPPED = 5
"""Skipped rows that the log names, see `export.candidates`."""


def command(
    recipe: RecipeOption,
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            help="Unrated rows with messages, prompt and response, or prompt and responses: JSON lines or array, CSV,"
            " TSV, Parquet or Arrow, also compressed; - is standard input, with JSON lines.",
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of responses to suggest.")] = 200,
    output: Annotated[
        Path | None,
        typer.Option(help="JSONL to write, in place of what is there; - is standard output. By default none."),
    ] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="Choose for this objective; may be given again. By default for all.")
    ] = None,
    criterion: Annotated[
        str,
        choice(
            ("i-optimal", "d-optimal"),
            "i-optimal: the scores of the given rows become as certain as they can; d-optimal: the heads' weights do.",
        ),
    ] = "i-optimal",
    prefix: Annotated[str, typer.Option(help="Prefix of the keys that are added to a row.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Rank unrated rows by what their ratings would teach the heads; exit code 1 if no row can be rated."""
    run = open_run(recipe)
    from export.ends import Destination, Source, check_apart

    origin = Source.of(source)
    destination = None if output is None else Destination.of(output)
    if destination is not None:
        check_apart(origin, destination)
        if destination.is_standard and as_json:
            raise UserError("--json and the rows would both go to standard output: leave --json out, or name a file")
    with reporting() as progress, interrupted_by_termination():
        result, rows = suggest(run, origin, count, objective or (), criterion, prefix, progress)  # type: ignore[arg-type]
        if destination is not None:
            write_rows(destination, rows)
    standard = destination is not None and destination.is_standard
    finish(result, as_json, lambda: show(result, rows, output, prefix, stderr=standard))
    if not result.candidates:
        raise typer.Exit(1)


def suggest(
    run: "Run",
    source: "Source",
    count: int,
    objectives: Sequence[str],
    criterion: "Criterion",
    prefix: str,
    progress: "Progress",
) -> tuple["Suggestions", list[dict[str, Any]]]:
    """Choose rows; returns the counts, and the rows with what was added to each.

    Args:
        run: extracted and fitted; a gate is not needed.
        source: the unrated rows.
        count: number of responses to choose, at most.
        objectives: those that the choice is for; all if empty.
        criterion: see `heads.ridge.batch_design`.
        prefix: prefix of the keys that are added to a row.
        progress: told of rows read, features computed and rows chosen.

    Raises:
        UserError: an earlier command is missing, the run has no standard errors, an objective is unknown, or the file
            cannot be read.
    """
    from heads.ridge.batch_design import choose_batch
    from heads.ridge.design_factors import DesignFactors
    from pipelines.artefacts import HEADS
    from pipelines.results import Suggestions

    started = time.monotonic()
    factors = DesignFactors.of(_uncertainty(run), tuple(run.read(HEADS).objectives), objectives)
    weights = factors.weights(criterion)
    pool = _read(run, source, factors, [prefix + key for key in ADDED], progress)
    rows: list[dict[str, Any]] = []
    if pool.candidates:
        batch = choose_batch(pool.features, factors.roots, weights, count, criterion, progress)
        if len(batch.rows) < count:
            log.warning("only %d responses are left to suggest: all of them are ranked", len(batch.rows))
        rows = list(_suggestions(pool, batch, factors, criterion, prefix))
    return Suggestions(
        suggested=len(rows),
        criterion=criterion,
        objectives=factors.objectives,
        rows=pool.rows,
        responses=pool.responses,
        candidates=len(pool.candidates),
        repeated=pool.repeated,
        rated=pool.rated,
        skipped=tuple(pool.skipped),
        from_store=pool.from_store,
        gain=sum(row[prefix + "gain"] for row in rows),
        seconds=time.monotonic() - started,
    ), rows


def _uncertainty(run: "Run") -> "Uncertainty":
    from pipelines.fitted import uncertainty

    if not run.rated:
        raise UserError(f"{run.recipe.name} has no [[ratings]], and suggest asks what ratings would teach: add them")
    if not run.recipe.heads.uncertainty:
        raise UserError("heads.uncertainty is false, and suggest needs it: set it to true and run `armorm fit-heads`")
    known = uncertainty(run)
    if known is None:
        raise UserError("the heads have no standard errors, as fit-heads said: add larger alphas to heads.alphas")
    return known


def _read(
    run: "Run", source: "Source", factors: "DesignFactors", added: Sequence[str], progress: "Progress"
) -> "CandidatePool":
    import polars as pl

    from export.candidates import CandidateReader
    from export.input_encoder import InputEncoder
    from extract.engines.choice import choose_device, load_engine
    from extract.engines.engine import Engine
    from pipelines.artefacts import EXAMPLES
    from pipelines.fitted import own_backbone

    backbone, settings, extract = own_backbone(run), run.recipe.backbone, run.recipe.extract
    rated = run.table(EXAMPLES).filter(pl.any_horizontal(pl.col(factors.objectives).is_not_null()))

    def engine() -> Engine:
        return load_engine(extract.engine, backbone, settings, extract, choose_device(extract.device)).engine

    reader = CandidateReader(
        encoder=InputEncoder(backbone, settings),
        load_engine=engine,
        store=run.store,
        rated=frozenset(rated["response_key"]),
        columns=factors.columns,
        pack_tokens=max(extract.pack_tokens, settings.max_tokens),
        added=added,
    )
    return reader.read(source, progress)


def _suggestions(
    pool: "CandidatePool",
    batch: "Batch",
    factors: "DesignFactors",
    criterion: "Criterion",
    prefix: str,
) -> Iterator[dict[str, Any]]:
    """Each chosen row with its rank, gain, leverage and the objectives that it teaches most."""
    units = factors.units(criterion)  # (k,)
    places = factors.places(batch.leverages)  # (m, f)
    for rank, (row, by_factor, leverages) in enumerate(zip(batch.rows, batch.gains, batch.leverages, strict=True), 1):
        candidate = pool.candidates[row]
        gains = units * by_factor[factors.factor_of]  # (k,)
        most = int(factors.factor_of[gains.argmax()])
        place = float(places[rank - 1, most])
        added: dict[str, Any] = {"row": candidate.row}
        if candidate.place is not None:
            added["place"] = candidate.place
        added |= {
            "rank": rank,
            "gain": float(gains.sum()),
            "leverage": float(leverages[most]),
            "quantile": None if math.isnan(place) else place,
            "objectives": [name for name, of in zip(factors.objectives, factors.factor_of, strict=True) if of == most],
            "gains": dict(zip(factors.objectives, gains.tolist(), strict=True)),
        }
        yield pool.values(candidate) | {prefix + key: value for key, value in added.items()}


def write_rows(destination: "Destination", rows: Sequence[dict[str, Any]]) -> None:
    """Write JSON lines: a file at once in place of what is there, a pipe or standard output as they come."""
    import json

    from cache.durable import naming, replacing

    with naming(destination.path), destination.open() if destination.flows else replacing(destination.path) as written:
        for row in rows:
            written.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def show(
    result: "Suggestions", rows: Sequence[dict[str, Any]], output: Path | None, prefix: str, *, stderr: bool = False
) -> None:
    """Print the first suggestions and the counts; on standard error where the rows go to standard output."""
    from rich.table import Table

    from evaluation.numbers import percent

    out = console(stderr=stderr)
    if rows and not stderr:
        table = Table(title=f"the first {min(SHOWN, len(rows))} of {len(rows)} rows to rate, {result.criterion}")
        for heading in ("rank", "row", "gain", "leverage", "quantile"):
            table.add_column(heading, justify="right")
        table.add_column("teaches most")
        for row in rows[:SHOWN]:
            rank, number, gain, leverage, quantile, names = (row[prefix + key] for key in _COLUMNS)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            table.add_row(
                str(rank), str(number), f"{gain:.4g}", f"{leverage:.3g}", percent(quantile, 0), names[0] + more
            )
        out.print(table)
    out.print(
        f"{result.rows:,} rows, {result.responses:,} responses, {result.candidates:,} to choose from;"
        f" {result.repeated:,} repeated, {result.rated:,} rated already, {len(result.skipped):,} skipped;"
        f" {result.from_store:,} features out of the store, {result.seconds:.1f} s",
        highlight=False,
    )
    if len(result.skipped) > SHOWN_SKIPPED:
        out.print("the reason for each skipped row: --json", highlight=False)
    if output is not None:
        out.print(f"{result.suggested:,} suggestions: {output}", highlight=False)


_COLUMNS = ("rank", "row", "gain", "leverage", "quantile", "objectives")
