"""`armorm fit-other-heads`: the heads of `[other_heads]` on the same stored features."""

import logging
import time
from typing import TYPE_CHECKING

from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run, reporting

if TYPE_CHECKING:
    from cache.progress import Progress
    from heads.kinds.fit import FittedPairwise, FittedRatings
    from heads.results import OtherHeads, PairwiseHead
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm fit-other-heads --recipe recipes/demo.toml"


def command(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Fit the heads that the recipe's table other_heads names, to compare with the ridge and the gate."""
    run = open_run(recipe)
    with run.writing(), reporting() as progress:
        result = fit_other_heads(run, progress)
    finish(result, as_json, lambda: show(result, run))


def fit_other_heads(run: "Run", progress: "Progress") -> "OtherHeads":
    """Fit the heads that the recipe names; write `other_heads.safetensors` and `other_heads.json`.

    Where the recipe names none, nothing is written, and files of an earlier recipe are removed.

    Raises:
        UserError: an earlier command is missing, there are no pairs on one side of the split, or a head cannot be
            fitted.
    """
    from heads.kinds.fit import RidgeHeads, fit_pairwise, fit_ratings
    from heads.kinds.fitted import arrays_of
    from heads.kinds.registry import RATINGS
    from heads.results import OtherHeads, RatingMetrics
    from heads.ridge.from_store import targets_of
    from pipelines.artefacts import EXAMPLES, HEADS, INTERVALS, OTHER_HEADS, PAIRS

    started = time.monotonic()
    recipe, settings = run.recipe, run.recipe.other_heads
    if not settings.fit:
        run.remove(OTHER_HEADS)
        return OtherHeads({}, {}, {}, {}, (), time.monotonic() - started)
    heads = run.read(HEADS).objectives
    examples, pairs, store = run.table(EXAMPLES), run.table(PAIRS), run.store
    targets = targets_of(examples, recipe.objectives, recipe.scales)  # (n, k)
    pairwise = fit_pairwise(settings, pairs, recipe.weighted_by_margin, store, progress)
    ratings: dict[str, FittedRatings] = {}
    if any(name in RATINGS for name in settings.fit):
        metrics = {name: RatingMetrics(head.validation_mse, head.pearson) for name, head in heads.items()}
        ridge = RidgeHeads(metrics, run.arrays(INTERVALS)["train_weight"])
        seed = recipe.split.seed
        ratings = fit_ratings(settings, examples, targets, recipe.objectives, ridge, store, seed, progress)
    kinds = {name: fitted for name, fitted in ratings.items() if name in RATINGS}

    result = OtherHeads(
        pairwise={name: _judged(head) for name, head in pairwise.items()},
        objectives={name: fitted.heads for name, fitted in kinds.items()},
        skipped={name: fitted.skipped for name, fitted in kinds.items()},
        distributions={name: fitted.distributions for name, fitted in ratings.items()},
        layers=settings.layers or tuple(store.fingerprint.layers),
        seconds=time.monotonic() - started,
    )
    run.write(OTHER_HEADS, result, arrays=arrays_of(pairwise, kinds), metadata={"heads": "\n".join(settings.fit)})
    return result


def _judged(head: "FittedPairwise") -> "PairwiseHead":
    """Accuracy and score temperature of a head on the validation pairs."""
    from evaluation.calibration import fit_temperature
    from evaluation.metrics import accuracy_of
    from heads.results import PairwiseHead

    judged = accuracy_of(head.gaps > 0)
    return PairwiseHead(
        validation_accuracy=judged.accuracy,
        low=judged.low,
        high=judged.high,
        train_pairs=head.train_pairs,
        validation_pairs=len(head.gaps),
        score_temperature=fit_temperature(head.gaps),
        details=head.details,
        seconds=head.seconds,
    )


def show(result: "OtherHeads", run: "Run") -> None:
    """Print a line per head, and for heads of objectives one per objective beside the ridge."""
    from rich.table import Table

    from evaluation.numbers import number
    from evaluation.rule_names import RULE_NAMES
    from pipelines.artefacts import OTHER_HEADS

    out = console()
    if not run.recipe.other_heads.fit:
        out.print('nothing to fit: [other_heads] of the recipe names no head, such as fit = ["slic"]', highlight=False)
        return
    for name, head in result.pairwise.items():
        title, method = RULE_NAMES[name]
        out.print(
            f"{title} ({method}): {head.validation_accuracy:.1%} of {head.validation_pairs:,} held-out pairs"
            f" ({head.low:.1%} to {head.high:.1%}), {head.seconds:.1f} s"
        )
    for name, objectives in result.objectives.items():
        table = Table("objective", title=f"{run.recipe.name}: {name} head beside the ridge")
        details = list(dict.fromkeys(key for one in objectives.values() for key in one.details))
        for heading in (*details, "validation MSE", "ridge", "Pearson", "ridge"):
            table.add_column(heading, justify="right")
        for objective, one in objectives.items():
            own = (f"{one.details[key]:g}" if key in one.details else "" for key in details)
            errors = (number(error, 4) for error in (one.validation_mse, one.ridge_validation_mse))
            correlations = (number(value) for value in (one.pearson, one.ridge_pearson))
            table.add_row(objective, *own, *errors, *correlations)
        out.print(table)
        for objective, reason in result.skipped[name].items():
            out.print(f"{name} not fitted: {objective} ({reason})", highlight=False)
    if any(result.distributions.values()):
        _show_distributions(result, run)
    out.print(f"{result.seconds:.1f} s; {run.path(OTHER_HEADS)}")


def _show_distributions(result: "OtherHeads", run: "Run") -> None:
    """Print the kinds' distributions side by side, one line an objective."""
    from rich.table import Table

    from evaluation.numbers import number, percent

    out = console()
    kinds = list(result.distributions)
    table = Table("objective", "rows", title=f"{run.recipe.name}: CRPS of distributions (and % of ratings in 90 %)")
    for name in kinds:
        table.add_column(name.replace("_", " "), justify="right")
    objectives = dict.fromkeys(objective for metrics in result.distributions.values() for objective in metrics)
    for objective in objectives:
        each = [result.distributions[name].get(objective) for name in kinds]
        rows = next(one.rows for one in each if one is not None)
        figures = ("" if one is None else f"{number(one.crps, 4)} ({percent(one.covered, 0)})" for one in each)
        table.add_row(objective, f"{rows:,}", *figures)
    out.print(table)
