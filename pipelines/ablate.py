"""`armorm ablate`: what data sets, rows, layers, objectives and kinds of heads are worth, from saved statistics."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from cache.progress import Progress
from evaluation.ablation_plots import draw
from evaluation.figures import ABSENT, available
from heads.ridge.ablations import RidgeAblations
from heads.ridge.subset import FRACTIONS
from pipelines.artefacts import gating_inputs, other_heads_inputs, read_json, read_run, write_json
from pipelines.fitted_model import Heads
from pipelines.recipe import Recipe
from pipelines.run_statistics import read_statistics

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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
    result = {
        "baseline": {
            name: {key: objectives[name][key] for key in ("rows", "alpha", "validation_mse", "pearson")}
            for name in fitted
        },
        "train_rows": {name: ablations.train_rows(name) for name in fitted},
        "datasets": variants.datasets(),
        "objectives": variants.objectives(),
        "alphas": {
            "alphas": report["alphas"],
            "validation_mse": {name: objectives[name]["validation_path"] for name in fitted},
        },
        "rows": variants.rows(),
        "layers": variants.layers(recipe.backbone.layers),
        "heads": side_by_side(recipe, report),
        "seconds_by_variant": variants.seconds,
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": report["inputs"],
        "seconds": time.monotonic() - started,
    }
    write_json(recipe.folder / "ablations.json", result)
    if not plots:
        return result | {"plots": []}
    if not available():
        log.warning("%s", ABSENT)
        return result | {"plots": []}
    return result | {"plots": [str(path) for path in draw(result, recipe.folder / "plots")]}


class Variants:
    """All variants of a run, each timed under its name."""

    def __init__(self, ablations: RidgeAblations, progress: Progress) -> None:
        self.ablations = ablations
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._layers = ablations.statistics.layers if ablations.statistics.layers > 1 else 0
        groups = len(ablations.groups)
        self._total = (
            len(ablations.datasets) + len(ablations.chosen) + groups * (len(FRACTIONS) - 1) + groups * self._layers
        )

    def datasets(self) -> dict[str, Any]:
        """Data set -> the objectives lost without it, and those that learn from fewer rows."""
        variants = {}
        for name in self.ablations.datasets:
            left = self._timed(f"without data set {name}", self.ablations.without_dataset, name)
            scores = {objective: asdict(score) for objective, score in left.scores.items()}
            variants[name] = {"lost": left.lost, "objectives": scores}
        return variants

    def objectives(self) -> dict[str, Any]:
        """Objective -> how well the others' heads predict its ratings; empty where there is one objective."""
        if len(self.ablations.chosen) < 2:
            return {}
        self._timed("heads of the training rows", lambda: self.ablations.weight)
        return {
            name: asdict(self._timed(f"without objective {name}", self.ablations.from_others, name))
            for name in self.ablations.chosen
        }

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Objective -> its scores at each share of the training rows, the smallest first; the last is all of them."""
        curves: dict[str, list[dict[str, Any]]] = {name: [] for name in self.ablations.chosen}
        for share in FRACTIONS[:-1]:
            for group in self.ablations.groups:
                scores = self._timed(
                    f"{share:g} of the rows: {', '.join(group)}",
                    self.ablations.at_fraction,
                    share,
                    group,
                )
                for name, score in scores.items():
                    curves[name].append({"share": share, **asdict(score)})
        return curves

    def layers(self, stored: tuple[int, ...]) -> dict[str, Any]:
        """Layer -> objective -> score of a head that reads this layer alone; empty where one layer is stored."""
        variants: dict[str, Any] = {}
        for place in range(self._layers):
            variants[str(stored[place])] = {}
            for group in self.ablations.groups:
                scores = self._timed(
                    f"layer {stored[place]}: {', '.join(group)}",
                    self.ablations.at_layer,
                    place,
                    group,
                )
                variants[str(stored[place])] |= {name: asdict(score) for name, score in scores.items()}
        return variants

    def _timed(
        self, name: str, solve: Callable[Arguments, Result], *of: Arguments.args, **more: Arguments.kwargs
    ) -> Result:
        started = time.monotonic()
        result = solve(*of, **more)
        self.seconds[name] = time.monotonic() - started
        self._progress("solving variants", len(self.seconds), self._total + 1, "variants")
        return result


def side_by_side(recipe: Recipe, heads: dict[str, Any]) -> dict[str, Any]:
    """Kinds of heads side by side, from the reports of commands that ran already.

    Returns:
        `pairs`: head or rule -> its accuracy on held-out pairs; `ratings`: head -> objective -> its validation
        error and correlation; `suites`: suite -> rule -> score. What was not run, or is of other rows or
        settings, is left out and named in the log.
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
    scores = ("validation_mse", "pearson")
    ratings = {
        kind: {name: {key: head[key] for key in scores} for name, head in reports.items()}
        for kind, reports in ({"ridge": heads["objectives"]} | other.get("objectives", {})).items()
    }
    suites = {}
    for suite in ("rewardbench",) if gating else ():  # a suite is judged with the gate; a stale one judged with others
        judged = _report(recipe, suite, "eval", None)
        if judged:
            suites[suite] = {rule: scored["score"] for rule, scored in judged["rules"].items()}
    return {"pairs": pairs, "ratings": ratings, "suites": suites}


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
