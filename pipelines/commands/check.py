"""`armorm check`: everything a run needs, before any large download."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run

if TYPE_CHECKING:
    from rich.console import Console

    from extract.check.estimate import Estimate
    from extract.check.results import Check, DatasetCheck
    from extract.check.run import Planned
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm check --recipe recipes/demo.toml"


def command(
    recipe: RecipeOption,
    data_root: Annotated[
        Path | None, typer.Option(help="Read DIR/org/name/file instead of the hub.", metavar="DIR")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Raw rows that the run is to read of each data set.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every repository, file, scale, licence and cost of a recipe before any large download."""
    run = open_run(recipe)
    result = check(run, data_root=data_root, limit=limit)
    finish(result, as_json, lambda: show(result, run))
    if result.problems:
        raise typer.Exit(2)


def check(run: "Run", *, data_root: Path | None = None, limit: int | None = None) -> "Check":
    """Check a run's recipe.

    Args:
        run: of the recipe.
        data_root: in place of the recipe's.
        limit: most raw rows that the run is to read of each data set.

    Raises:
        UserError: the recipe's device is not there, or the run's extract.json is damaged.
    """
    from extract.check.run import check as check_all

    return check_all(planned(run, data_root, limit))


def planned(run: "Run", data_root: Path | None, limit: int | None) -> "Planned":
    """The part of a run's recipe that a check takes; its data sets are those that are read from files."""
    from extract.check.datasets import Wanted
    from extract.check.findings import Finding
    from extract.check.run import Planned
    from pipelines.recipe_checks import NO_PAIRS

    recipe, earlier = run.recipe, run.earlier_extract()
    datasets = Wanted(
        recipe.datasets_read,
        recipe.ranges,
        data_root or recipe.data_root,
        limit,
        earlier.revisions if earlier else {},
        recipe.missing_datasets == "refuse",
    )
    remarks = () if recipe.pairs else (Finding("pairs", NO_PAIRS, stops=False),)
    return Planned(recipe.backbone, recipe.extract, recipe.store, datasets, run.folder, recipe.lines, remarks)


def show(result: "Check", run: "Run") -> None:
    """Print the tables of data sets and ratings, the costs, and everything that is wrong."""
    out = console()
    _show_datasets(result, run.recipe.name, out)
    _show_ratings(result, out)
    if result.backbone is not None:
        found = result.backbone
        out.print(
            f"backbone: {found.where}, {found.family} of {found.layers} layers, {found.hidden_size} wide;"
            f" {_size(found.weights_bytes)} of weights, {_size(found.bytes_to_fetch)} to fetch;"
            f" licence {_licence(found.licence, found.commercial_use_forbidden)}",
            highlight=False,
        )
    for line in result.template:
        out.print(line, highlight=False)
    if result.estimate is not None:
        for line in _costs(result.estimate):
            out.print(line, highlight=False)
    for warning in result.warnings:
        out.print(f"warning: {warning.line}", highlight=False)
    for problem in result.problems:
        out.print(f"problem: {problem.line}", highlight=False)
    outcome = f"{len(result.problems)} problems" if result.problems else "nothing stands in the way of a run"
    out.print(f"{outcome}, {len(result.warnings)} warnings; checked in {result.seconds:.1f} s", highlight=False)


def _show_datasets(result: "Check", name: str, out: "Console") -> None:
    from rich.table import Table

    table = Table("data set", "kind", title=f"{name}: data sets")
    for heading in ("rows", "to fetch", "read", "skipped"):
        table.add_column(heading, justify="right")
    table.add_column("licence", overflow="fold")
    table.add_column("why skipped", overflow="fold")
    for dataset, found in result.datasets.items():
        why = "; ".join(f"{number} × {reason}" for reason, number in list(found.reasons.items())[:2])
        table.add_row(
            dataset,
            found.kind,
            _rows(found),
            _size(found.bytes_to_fetch),
            f"{found.rows_read:,}",
            f"{found.skipped_fraction:.1%}",
            _licence(found.licence, found.commercial_use_forbidden),
            why,
        )
    out.print(table)
    out.print(
        "rows: ~ by the size of the rows read, ° by the card; otherwise counted in the files, or the limit",
        highlight=False,
    )


def _rows(found: "DatasetCheck") -> str:
    if found.rows is None:
        return "unknown"
    mark = {"counted": "", "published": "°", "estimated": "~", "unknown": ""}[found.rows_by]
    return f"{mark}{found.rows:,}"


def _show_ratings(result: "Check", out: "Console") -> None:
    from rich.table import Table

    table = Table("data set", "objective", "scale", title="ratings read")
    for heading in ("ratings", "from", "to", "off scale"):
        table.add_column(heading, justify="right")
    table.add_column("histogram", no_wrap=True)
    for dataset, found in result.datasets.items():
        for objective, ratings in found.ratings.items():
            figures = (f"{ratings.ratings:,}", f"{ratings.smallest:g}", f"{ratings.largest:g}", f"{ratings.off}")
            table.add_row(dataset, objective, f"{ratings.low:g} to {ratings.high:g}", *figures, ratings.bars())
    if table.row_count:
        out.print(table)


def _licence(name: str | None, forbids: bool) -> str:
    return "not stated" if name is None else f"{name} (no commercial use)" if forbids else name


def _size(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB" if size else "0"


def _costs(estimate: "Estimate") -> list[str]:
    """Sentences about tokens, disk, memory and time."""
    lines = []
    if estimate.tokens is None:
        lines.append("tokens: unknown, since the number of rows of a data set is")
    else:
        lines.append(f"tokens: at most about {estimate.tokens:,}; prompts that rows share are computed once")
    disk = f"disk: {_size(estimate.bytes_to_fetch)} of downloads"
    if estimate.feature_bytes is not None:
        disk += f", {_size(estimate.feature_bytes)} of features"
    if estimate.token_bytes is not None:
        disk += f", {_size(estimate.token_bytes)} of token ids"
    memory = f"memory: {_size(estimate.weights_bytes)} of weights on the device, activations in addition"
    if estimate.host_bytes is not None:
        memory += f"; about {_size(estimate.host_bytes)} of main memory for keys"
    lines += [disk, memory]
    if estimate.hours is not None and estimate.tokens_per_second is not None:
        rate = f"{estimate.tokens_per_second:,.0f} tokens/s, measured just now"
        lines.append(f"time: about {_duration(estimate.hours)} on {estimate.device} ({rate})")
    else:
        lines.append(
            f"time: unknown on {estimate.device}, for its rate was not measured: `armorm extract --limit 100` prints it"
        )
    if estimate.published_hours is not None:
        lines.append(
            f"time: about {_duration(estimate.published_hours)} on one {estimate.published_device}, by the rate in"
            " docs/benchmarks.md for a backbone of this size"
        )
    return lines


def _duration(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.0f} min" if hours * 60 >= 1 else "a minute"
