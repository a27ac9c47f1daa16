"""`armorm fit-heads`: one pass over the stored features, then every head and alpha from its sums.

Without ratings: heads from another model's folder, or from the pairs.
"""

import logging
import resource
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cache import UserError
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
    from cache.progress import Progress
    from heads.results import Heads, ObjectiveHead, ObjectiveInterval
    from heads.ridge.objective_fit import FittedObjective
    from heads.ridge.products import Device
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm fit-heads --recipe recipes/demo.toml"

CHOSEN_BY = {
    "validation": "on the validation rows",
    "gcv": "by generalised cross-validation on the training rows",
}


def command(
    recipe: RecipeOption,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes of this machine that sum the features, each with its share of the cores and with sums of"
            " its own in memory. A run of several that was ended goes on with the sums that were saved.",
        ),
    ] = 1,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray",
            help="Take the workers from Ray, on the cluster of extract.ray_address or RAY_ADDRESS, else on this machine"
            " (`pip install -e '.[ray]'`).",
        ),
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(
            help="Where features of more than 1,024 values are multiplied; auto tries a GPU beside the CPU and takes"
            " the faster."
        ),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Fit one linear head per objective on the stored features."""
    run = open_run(recipe)
    with run.writing(), reporting() as progress, interrupted_by_termination():
        result = fit_heads(run, progress, workers, ray, device)
    finish(result, as_json, lambda: show(result, run))


def fit_heads(
    run: "Run", progress: "Progress", workers: int = 1, ray: bool = False, device: "Device" = "auto"
) -> "Heads":
    """Fit one linear head per objective; write `heads.*`, and on ratings `statistics.*` and the files of uncertainty.

    Args:
        run: of the recipe.
        progress: told features read and heads solved.
        workers: processes that sum the features of rated responses.
        ray: whether they are Ray's.
        device: where features are multiplied; see `heads.ridge.products`.

    Raises:
        UserError: nothing was extracted yet, an objective cannot be fitted, several processes or a device are asked for
            where there are no ratings to sum, Ray cannot be reached, there is no such device, or a process was ended
            from outside.
    """
    if run.rated:
        return _fit_on_ratings(run, progress, workers, ray, device)
    for option, given in (("--workers", workers > 1), ("--ray", ray), ("--device", device != "auto")):
        if given:
            raise UserError(f"{option} is for the sums over ratings, and this recipe has no [[ratings]]: leave it out")
    return _make_without_ratings(run, progress)


def _make_without_ratings(run: "Run", progress: "Progress") -> "Heads":
    from pipelines.artefacts import HEADS, INTERVALS, UNCERTAINTY
    from pipelines.heads_without_ratings import heads_without_ratings

    result, made = heads_without_ratings(run, progress)
    run.write(HEADS, result, arrays={"weight": made.weight}, metadata={"objectives": "\n".join(made.objectives)})
    run.remove(INTERVALS)
    if made.uncertainty is None:
        run.remove(UNCERTAINTY)
    else:
        run.write_arrays(UNCERTAINTY, made.uncertainty)
    return result


def _fit_on_ratings(run: "Run", progress: "Progress", workers: int, ray: bool, device: "Device") -> "Heads":
    from cache.cores import cores
    from cache.ray_cluster import address_of
    from heads.objectives import Scale
    from heads.results import Heads
    from heads.ridge.familiarity import calibrate_on_store
    from heads.ridge.from_store import targets_of, update_statistics
    from heads.ridge.interval_fit import fit_intervals
    from heads.ridge.selection import fit_heads as fit
    from heads.ridge.workers import Workers
    from pipelines.artefacts import EXAMPLES, HEADS, INTERVALS, STATISTICS, UNCERTAINTY

    started = time.monotonic()
    recipe = run.recipe
    several = None
    if workers > 1 or ray:
        several = Workers(workers, max(1, cores() // workers), address_of(recipe.extract.ray_address) if ray else None)
        several.check()
    examples = run.table(EXAMPLES)
    store = run.store
    stamp = run.stamp(STATISTICS)
    updated = update_statistics(
        run.folder,
        examples,
        recipe.objectives,
        recipe.scales,
        recipe.heads,
        store,
        stamp,
        workers=several,
        device=device,
        progress=progress,
    )
    statistics = updated.statistics
    heads = fit(statistics, recipe.heads, skip_unfit=recipe.missing_datasets == "skip", progress=progress)
    names = [head.name for head in heads.objectives]
    for head in heads.objectives:
        _warn(head)
    fitted = [objective for objective in recipe.objectives if objective.name in names]
    uncertainty = None
    if heads.factors is not None:
        uncertainty = calibrate_on_store(heads.factors, store, examples, fitted, recipe.scales, recipe.split.seed)
    train_weight = heads.train_weight(statistics.layers)  # (k, layers * d)
    targets = targets_of(examples, fitted, recipe.scales)  # (n, k)
    asked, seed = recipe.heads.coverage, recipe.split.seed
    intervals = fit_intervals(train_weight, fitted, examples, targets, uncertainty, store, asked, seed, progress)

    result = Heads(
        origin="ratings",
        objectives={head.name: _result(head, intervals.metrics[head.name]) for head in heads.objectives},
        skipped=heads.skipped,
        scales={each.name: Scale(low=each.low, high=each.high, rule=each.rule) for each in fitted},
        alphas=tuple(sorted(recipe.heads.alphas)),
        rows=len(examples),
        train_pairs=None,
        rows_read=updated.rows_read,
        rows_reused=updated.rows_reused,
        features=statistics.width,
        reading=store.fingerprint,
        fitted_on=f"training and validation rows, with the alpha chosen {CHOSEN_BY[recipe.heads.choose]}",
        layer=recipe.heads.layer,
        uncertainty=None if uncertainty is None else uncertainty.summary(),
        seconds=time.monotonic() - started,
        peak_bytes=_peak_bytes(1 if ray else workers),
    )
    weights = {"weight": heads.weight(statistics.layers)}  # (k, layers * d)
    run.write(HEADS, result, arrays=weights, metadata={"objectives": "\n".join(names)})
    if uncertainty is None:
        run.remove(UNCERTAINTY)
    else:
        run.write_arrays(UNCERTAINTY, uncertainty.arrays())
    run.write_arrays(INTERVALS, intervals.intervals.arrays() | {"train_weight": train_weight})
    return result


def _peak_bytes(workers: int) -> int:
    """Largest memory of this process, and that of the largest worker for each of them."""
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return 1024 * (own + (workers * largest if workers > 1 else 0))


def _warn(head: "FittedObjective") -> None:
    if head.constant:
        log.warning("%s: all its ratings are the same, so its head says nothing about a response", head.name)
    elif head.at_edge:
        log.warning(
            "%s: the chosen alpha %g is at the edge of heads.alphas; a wider range may do better", head.name, head.alpha
        )


def _result(head: "FittedObjective", interval: "ObjectiveInterval") -> "ObjectiveHead":
    from dataclasses import replace

    return replace(head.result(), interval=interval)


def show(result: "Heads", run: "Run") -> None:
    """Print one line per objective."""
    if result.origin == "ratings":
        _show_fitted(result, run)
    else:
        _show_made(result, run)


def _show_made(result: "Heads", run: "Run") -> None:
    """Print the heads of a recipe without ratings; figures that none of them has are no column."""
    from rich.table import Table

    from evaluation.numbers import number, percent
    from pipelines.artefacts import HEADS

    columns: dict[str, list[str]] = {}
    judged = {name: head.pairs for name, head in result.objectives.items() if head.pairs is not None}
    if result.origin == "directions":
        columns["share of variance"] = [percent(pairs.explained_variance_ratio) for pairs in judged.values()]
    columns["held-out pairs judged right"] = [percent(pairs.validation_accuracy) for pairs in judged.values()]
    columns["95 % interval"] = [f"{100 * pairs.low:.1f} to {100 * pairs.high:.1f}" for pairs in judged.values()]
    if any(head.pearson is not None for head in result.objectives.values()):
        columns["Pearson, where fitted"] = [number(head.pearson) for head in result.objectives.values()]
    table = Table("objective", title=f"{run.recipe.name}: heads made of {result.fitted_on}")
    for heading in columns:
        table.add_column(heading, justify="right")
    for name, *figures in zip(judged, *columns.values(), strict=True):
        table.add_row(name, *figures)
    out = console()
    out.print(table)
    made_of = "" if result.train_pairs is None else f"{result.train_pairs:,} training pairs, "
    held_out = max(pairs.validation_pairs for pairs in judged.values())
    out.print(f"{made_of}{held_out:,} held out, {result.seconds:.1f} s; {run.path(HEADS)}")


def _show_fitted(result: "Heads", run: "Run") -> None:
    from rich.table import Table

    from evaluation.numbers import count, number, percent, plain
    from pipelines.artefacts import HEADS

    asked = run.recipe.heads.coverage
    table = Table("objective", title=f"{run.recipe.name}: heads")
    for heading in ("rows", "alpha", "freedom", "validation MSE", "Pearson", "interval ±", f"covered of {asked:.0%}"):
        table.add_column(heading, justify="right")
    for name, head in result.objectives.items():
        freedom, mse = number(head.degrees_of_freedom, 0), number(head.validation_mse, 4)
        figures = (
            [number(head.interval.all_sets.half_width, 2), percent(head.interval.all_sets.covered.fraction)]
            if head.interval
            else []
        )
        table.add_row(name, count(head.rows), plain(head.alpha), freedom, mse, number(head.pearson), *figures)
    out = console()
    out.print(table)
    for name, head in result.objectives.items():
        if head.interval is not None and head.interval.all_sets.reason is not None:
            out.print(f"no interval: {name} ({head.interval.all_sets.reason})", highlight=False)
    for name, reason in result.skipped.items():
        out.print(f"skipped: {name} ({reason})", highlight=False)
    out.print(f"{result.rows:,} rated responses, {result.seconds:.1f} s; {run.path(HEADS)}")
