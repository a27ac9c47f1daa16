"""`armorm ablate`: what data sets, rows, layers, objectives and kinds of heads are worth, from saved statistics."""

import logging
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run, reporting

if TYPE_CHECKING:
    from rich.table import Table

    from cache.progress import Progress
    from heads.ablation_results import Ablations, Baseline, HeadComparison, WithoutDataset
    from heads.results import Heads
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm ablate --recipe recipes/demo.toml"


def command(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option(help="Draw figures too, if matplotlib is installed.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Leave out data sets, objectives, rows and layers, from the saved statistics alone; compare kinds of heads."""
    run = open_run(recipe)
    with run.writing(), reporting() as progress:
        result = ablate(run, progress)
        figures = draw(result, run) if plots else []
    finish(result, as_json, lambda: show(result, run, figures))


def ablate(run: "Run", progress: "Progress") -> "Ablations":
    """Solve every variant from the run's statistics, without opening a feature, and write `ablations.json`.

    Raises:
        UserError: the heads or their statistics are missing or out of date.
    """
    from heads.ablation_results import Ablations, AlphaPaths, Baseline
    from heads.ridge.ablations import RidgeAblations
    from heads.ridge.files import load_statistics
    from heads.ridge.variants import Variants
    from pipelines.artefacts import ABLATIONS, HEADS, STATISTICS

    started = time.monotonic()
    heads = run.read(HEADS)
    run.require(STATISTICS)
    alphas = heads.alphas_by_objective()
    ablations = RidgeAblations(load_statistics(run.folder).statistics, alphas, run.recipe.heads)
    variants = Variants(ablations, progress)
    result = Ablations(
        baseline={
            name: Baseline(head.rows, head.alpha, head.validation_mse, head.pearson)
            for name, head in heads.objectives.items()
        },
        train_rows={name: ablations.train_rows(name) for name in heads.objectives},
        datasets=variants.datasets(),
        objectives=variants.objectives(),
        alphas=AlphaPaths(heads.alphas, {name: head.validation_path for name, head in heads.objectives.items()}),
        rows=variants.rows(),
        layers=variants.layers(run.recipe.backbone.layers),
        heads=side_by_side(run, heads),
        seconds_by_variant=variants.seconds,
        seconds=time.monotonic() - started,
    )
    run.write(ABLATIONS, result)
    return result


def side_by_side(run: "Run", heads: "Heads") -> "HeadComparison":
    """Kinds of heads side by side, from current results of other commands; what is not current is named in the log."""
    from heads.ablation_results import HeadComparison
    from heads.results import RatingMetrics
    from pipelines.artefacts import GATING, OTHER_HEADS, Artefact, suite

    wanted: list[Artefact[Any]] = [GATING, suite("rewardbench")]
    if run.recipe.other_heads.fit:
        wanted.append(OTHER_HEADS)
    for problem in dict.fromkeys(run.problem(artefact) for artefact in wanted):
        if problem is not None:
            log.info("heads side by side: %s", problem)
    gating, other, judged = run.current(GATING), run.current(OTHER_HEADS), run.current(suite("rewardbench"))
    pairs: dict[str, float] = {}
    ratings = {
        "ridge": {name: RatingMetrics(head.validation_mse, head.pearson) for name, head in heads.objectives.items()}
    }
    if gating is not None:
        pairs = {rule: gating.rules[rule].accuracy for rule in ("gate", "uniform", "bradley_terry")}
    if other is not None:
        pairs |= {name: head.validation_accuracy for name, head in other.pairwise.items()}
        ratings |= {
            kind: {name: RatingMetrics(head.validation_mse, head.pearson) for name, head in objectives.items()}
            for kind, objectives in other.objectives.items()
        }
    suites: dict[str, dict[str, float | None]] = {}
    if judged is not None:
        suites[judged.suite] = {rule: table.score for rule, table in judged.rules.items()}
    return HeadComparison(pairs, ratings, suites)


def draw(result: "Ablations", run: "Run") -> list[str]:
    """Draw the figures, if matplotlib is installed; their files."""
    from evaluation.ablation_plots import draw
    from evaluation.figures import NOT_INSTALLED, available
    from pipelines.artefacts import PLOTS

    if not available():
        log.warning("%s", NOT_INSTALLED)
        return []
    return [str(path) for path in draw(result, run.path(PLOTS))]


def show(result: "Ablations", run: "Run", figures: list[str]) -> None:
    """Print a table by objective, a line a data set, and kinds of heads side by side."""
    from evaluation.numbers import number
    from pipelines.artefacts import ABLATIONS, PLOTS

    out = console()
    if run.recipe.note:
        out.print(run.recipe.note, style="bold")
    out.print(_by_objective(result, run))
    for name, left in result.datasets.items():
        out.print(_without(name, left, result.baseline), highlight=False)
    for layer, scores in result.layers.items():
        mean = sum(score.pearson or 0.0 for score in scores.values()) / max(1, len(scores))
        out.print(f"layer {layer} alone: mean Pearson {number(mean)}", highlight=False)
    if result.heads.pairs:
        out.print(_kinds(result.heads, run))
    ridge = result.heads.ratings["ridge"]
    for kind, heads in result.heads.ratings.items():
        if kind != "ridge":
            errors = [(head.validation_mse, ridge[name].validation_mse) for name, head in heads.items()]
            better = sum(own is not None and its is not None and own < its for own, its in errors)
            out.print(
                f"{kind} head: lower validation error than the ridge on {better} of {len(heads)} objectives",
                highlight=False,
            )
    slowest = max(result.seconds_by_variant.values())
    out.print(
        f"{len(result.seconds_by_variant)} variants in {result.seconds:.1f} s, the slowest {slowest:.2f} s;"
        f" {run.path(ABLATIONS)}" + (f", {run.path(PLOTS)}" if figures else ""),
        highlight=False,
    )


def _by_objective(result: "Ablations", run: "Run") -> "Table":
    from rich.table import Table

    from evaluation.numbers import number

    fractions = sorted({point.fraction for curve in result.rows.values() for point in curve})
    table = Table(
        "objective",
        title=f"{run.recipe.name}: validation Pearson of each objective",
        caption="fractions: of the training rows; others: all other heads, best combined",
    )
    for heading in ("rows", "alpha", *(f"1/{round(1 / fraction)}" for fraction in fractions), "all", "others"):
        table.add_column(heading, justify="right")
    for name, head in result.baseline.items():
        curve = {point.fraction: point.pearson for point in result.rows[name]}
        others = result.objectives[name].pearson if name in result.objectives else None
        figures = (*(curve.get(fraction) for fraction in fractions), head.pearson, others)
        table.add_row(name, f"{result.train_rows[name]:,}", f"{head.alpha:g}", *map(number, figures))
    return table


def _without(name: str, left: "WithoutDataset", baseline: "dict[str, Baseline]") -> str:
    from evaluation.numbers import number

    parts = []
    if left.skipped:
        objectives = "objective" if len(left.skipped) == 1 else "objectives"
        parts.append(f"{len(left.skipped)} {objectives} skipped ({', '.join(left.skipped)})")
    parts += [
        f"{objective} {number(baseline[objective].pearson)} -> {number(score.pearson)}"
        for objective, score in left.objectives.items()
    ]
    rest = len(baseline) - len(left.skipped) - len(left.objectives)
    return f"without {name}: " + "; ".join([*parts, f"{rest} unchanged"])


def _kinds(heads: "HeadComparison", run: "Run") -> "Table":
    from rich.table import Table

    from evaluation.numbers import percent
    from evaluation.rule_names import RULE_NAMES

    table = Table("head", "method", title=f"{run.recipe.name}: kinds of heads on the same features")
    table.add_column("held-out pairs judged right", justify="right")
    for suite in heads.suites:
        table.add_column(suite, justify="right")
    for name in dict.fromkeys([*heads.pairs, *(rule for rules in heads.suites.values() for rule in rules)]):
        figures = (heads.pairs.get(name), *(rules.get(name) for rules in heads.suites.values()))
        table.add_row(*RULE_NAMES.get(name, (name, "")), *map(percent, figures))
    return table
