"""`armorm ablate`: what data sets, rows, layers, objectives and kinds of heads are worth, from saved statistics."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cache.progress import Progress
from evaluation.ablation_plots import draw
from evaluation.figures import ABSENT, available
from heads.results import Ablations, AlphaPaths, Baseline, HeadComparison, RatingMetrics
from heads.ridge.ablations import RidgeAblations
from heads.ridge.variants import Variants
from pipelines.artefacts import gating_inputs, other_heads_inputs, read_json, read_run, write_json
from pipelines.fitted_model import Heads
from pipelines.recipe import Recipe
from pipelines.run_statistics import read_statistics

log = logging.getLogger(__name__)


def ablate(recipe: Recipe, *, plots: bool, progress: Progress) -> dict[str, Any]:
    """Solve every variant from the run's statistics, without opening a feature, and write `ablations.json`.

    Returns:
        What `ablations.json` holds, and the files of the plots.

    Raises:
        UserError: the heads or their statistics are missing, or of other rows or settings.
    """
    started = time.monotonic()
    run = read_run(recipe)
    fitted = Heads.read(recipe).objectives
    report = read_json(recipe.folder / "heads.json", "fit-heads")
    objectives = report["objectives"]
    statistics = read_statistics(recipe)
    ablations = RidgeAblations(statistics, {name: objectives[name]["alpha"] for name in fitted}, recipe.heads)
    variants = Variants(ablations, progress)
    found = Ablations(
        baseline={
            name: Baseline(*(objectives[name][key] for key in ("rows", "alpha", "validation_mse", "pearson")))
            for name in fitted
        },
        train_rows={name: ablations.train_rows(name) for name in fitted},
        datasets=variants.datasets(),
        objectives=variants.objectives(),
        alphas=AlphaPaths(report["alphas"], {name: objectives[name]["validation_path"] for name in fitted}),
        rows=variants.rows(),
        layers=variants.layers(recipe.backbone.layers),
        heads=side_by_side(recipe, report),
        seconds_by_variant=variants.seconds,
        seconds=time.monotonic() - started,
    )
    result = asdict(found) | {
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": report["inputs"],
    }
    write_json(recipe.folder / "ablations.json", result)
    if not plots:
        return result | {"plots": []}
    if not available():
        log.warning("%s", ABSENT)
        return result | {"plots": []}
    return result | {"plots": [str(path) for path in draw(found, recipe.folder / "plots")]}


def side_by_side(recipe: Recipe, heads: dict[str, Any]) -> HeadComparison:
    """Kinds of heads side by side, from the reports of commands that ran already.

    Results that are missing, or of other rows or settings, are skipped and named in the log.
    """
    gating = _report(recipe, "gating", "train-gating", gating_inputs)
    other = _report(recipe, "other_heads", "train-gating", other_heads_inputs) if recipe.other_heads.fit else {}
    pairs = {
        rule: gating[key]
        for rule, key in (
            ("gate", "validation_accuracy"),
            ("uniform", "uniform_validation_accuracy"),
            ("bradley_terry", "bradley_terry_validation_accuracy"),
        )
        if key in gating
    }
    pairs |= {name: head["validation_accuracy"] for name, head in other.get("pairwise", {}).items()}
    ratings = {
        kind: {name: RatingMetrics(head["validation_mse"], head["pearson"]) for name, head in reports.items()}
        for kind, reports in ({"ridge": heads["objectives"]} | other.get("objectives", {})).items()
    }
    suites = {}
    for suite in ("rewardbench",) if gating else ():  # a suite is judged with the gate; a stale one judged with others
        judged = _report(recipe, suite, "eval", None)
        if judged:
            suites[suite] = {rule: scored["score"] for rule, scored in judged["rules"].items()}
    return HeadComparison(pairs, ratings, suites)


def _report(recipe: Recipe, name: str, command: str, inputs: Callable[[Recipe], str] | None) -> dict[str, Any]:
    """A report beside the heads; empty, with a line in the log, where it does not belong to them."""
    path = recipe.folder / f"{name}.json"
    if not path.exists():
        log.info("heads side by side: there is no %s; `armorm %s` writes it", path, command)
        return {}
    report = read_json(path, command)
    current = report.get("inputs") == inputs(recipe) if inputs else report.get("recipe") == recipe.digest
    if not current:
        log.warning(
            "heads side by side: %s is of other rows or settings and is left out; run `armorm %s`", path, command
        )
        return {}
    return report
