"""The heads of `[other_heads]`, fitted on the same stored features as the ridge and the plain head."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import key_column, unique_keys
from cache.progress import Progress
from evaluation.calibration import fit_temperature
from evaluation.metrics import accuracy_of
from extract.tables import read_table
from heads.kinds.layers import LayerChoice
from heads.kinds.ordinal import nearest_levels
from heads.kinds.registry import PAIRWISE, RATINGS
from heads.objectives import Objective
from heads.stored import gather_compact
from pipelines.artefacts import Arrays, other_heads_inputs, read_json, write_arrays, write_json
from pipelines.recipe import Recipe
from pipelines.run_statistics import targets_of

log = logging.getLogger(__name__)


def fit_other_heads(recipe: Recipe, store: FeatureStore, progress: Progress) -> dict[str, Any]:
    """Fit the heads that the recipe names and write `other_heads.safetensors` and `other_heads.json`.

    Returns:
        What `other_heads.json` holds; nothing, and no file, where the recipe names no head.

    Raises:
        UserError: there are no pairs on one side of the split, or a head cannot be fitted.
    """
    if not recipe.other_heads.fit:
        return {}
    started = time.monotonic()
    inputs = other_heads_inputs(recipe)
    layers = list(store.fingerprint.layers)
    choice = LayerChoice.of(layers, recipe.other_heads.layers, store.hidden_size)
    pairwise = [name for name in recipe.other_heads.fit if name in PAIRWISE]
    ratings = [name for name in recipe.other_heads.fit if name in RATINGS]
    of_pairs, scores = _fit_pairwise(recipe, store, choice, pairwise, progress) if pairwise else ({}, {})
    of_ratings, objectives = _fit_ratings(recipe, store, choice, ratings, progress) if ratings else ({}, {})
    write_arrays(
        recipe.folder / "other_heads.safetensors", of_pairs | of_ratings, {"heads": "\n".join(recipe.other_heads.fit)}
    )
    result = {
        "pairwise": scores,
        "objectives": {
            head: {name: report for name, report in reports.items() if isinstance(report, dict)}
            for head, reports in objectives.items()
        },
        "skipped": {
            head: {name: report for name, report in reports.items() if isinstance(report, str)}
            for head, reports in objectives.items()
        },
        "layers": list(recipe.other_heads.layers) or layers,
        "fingerprint": store.fingerprint.digest,
        "recipe": recipe.digest,
        "inputs": inputs,
        "seconds": time.monotonic() - started,
    }
    write_json(recipe.folder / "other_heads.json", result)
    return result


def _fit_pairwise(
    recipe: Recipe, store: FeatureStore, choice: LayerChoice, names: Sequence[str], progress: Progress
) -> tuple[Arrays, dict[str, Any]]:
    """Heads that learn one score from the pairs: their arrays, and head -> report."""
    arrays: Arrays = {}
    reports: dict[str, Any] = {}
    table = read_table(recipe.folder / "tables", "pairs")
    keys, (chosen, rejected) = unique_keys(table["chosen_key"], table["rejected_key"])
    pairs = np.stack([chosen, rejected], axis=-1)  # (n, 2)
    train, validation = (pairs[(table["split"] == split).to_numpy()] for split in ("train", "validation"))
    features = gather_compact(store, keys, choice, progress)  # (m, c)
    for name in names:
        began = time.monotonic()
        kind = PAIRWISE[name]
        fitted, report = kind.fit(features, train, validation, recipe.other_heads, progress)
        scores = kind.scores(features, fitted)  # (m,)
        gaps = scores[validation[:, 0]] - scores[validation[:, 1]]  # (v,)
        judged = accuracy_of(gaps > 0)
        fitted[kind.reads] = choice.widen(fitted[kind.reads])
        arrays |= {f"{name}.{array}": value for array, value in fitted.items()}
        reports[name] = {
            "validation_accuracy": judged.accuracy,
            "low": judged.low,
            "high": judged.high,
            "train_pairs": len(train),
            "validation_pairs": len(validation),
            "score_temperature": fit_temperature(gaps),
            **report,
            "seconds": time.monotonic() - began,
        }
    return arrays, reports


def _fit_ratings(
    recipe: Recipe, store: FeatureStore, choice: LayerChoice, names: Sequence[str], progress: Progress
) -> tuple[Arrays, dict[str, dict[str, Any]]]:
    """Heads that learn each objective from its ratings: their arrays, and head -> objective -> report or reason.

    Objectives that the same data sets rate share one reading of the features.
    """
    arrays: Arrays = {}
    reports: dict[str, dict[str, Any]] = {name: {} for name in names}
    ridge = read_json(recipe.folder / "heads.json", "fit-heads")["objectives"]
    table = read_table(recipe.folder / "tables", "examples")
    targets = targets_of(recipe, table)  # (rows, objectives)
    reading: dict[tuple[str, ...], list[int]] = {}
    for number, objective in enumerate(recipe.objectives):
        if objective.name in ridge:
            rated = table.filter(pl.Series(~np.isnan(targets[:, number])))["dataset"].unique().sort()
            reading.setdefault(tuple(rated), []).append(number)
    held_out = (table["split"] == "validation").to_numpy()
    done = 0
    for datasets, numbers in reading.items():
        rows = np.flatnonzero(table["dataset"].is_in(datasets).to_numpy() & ~np.isnan(targets[:, numbers]).all(axis=-1))
        rows = rows[np.argsort(held_out[rows], kind="stable")]  # training rows first
        train_rows = int((~held_out[rows]).sum())
        features = gather_compact(store, key_column(table["response_key"][rows]), choice, progress)  # (n, c)
        for number in numbers:
            objective = recipe.objectives[number]
            for name in names:
                weights, report = _fit_objective(recipe, name, objective, features, targets[rows, number], train_rows)
                progress("fitting ratings", done := done + 1, len(ridge) * len(names), "objectives")
                if isinstance(report, str):
                    log.warning("%s: the %s head is not fitted: %s", objective.name, name, report)
                else:
                    weights["weight"] = choice.widen(weights["weight"])
                    arrays |= {f"{name}.{objective.name}.{array}": value for array, value in weights.items()}
                    report |= {f"ridge_{key}": ridge[objective.name][key] for key in ("validation_mse", "pearson")}
                reports[name][objective.name] = report
    return arrays, reports


def _fit_objective(
    recipe: Recipe,
    name: str,
    objective: Objective,
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.float64],
    train_rows: int,
) -> tuple[Arrays, dict[str, Any] | str]:
    """One head's arrays and its report, or none and why it is not fitted."""
    began = time.monotonic()
    steps = objective.high - objective.low
    if steps != round(steps):
        return {}, f"its scale, {objective.low:g} to {objective.high:g}, has no whole steps"
    levels = nearest_levels(targets, objective.target(np.linspace(objective.low, objective.high, round(steps) + 1)))
    if np.ptp(levels[:train_rows][~np.isnan(levels[:train_rows])]) == 0:
        return {}, "its training ratings are all on one level"
    fitted = RATINGS[name](features, levels, train_rows, recipe.other_heads)
    rated = ~np.isnan(targets[train_rows:])
    truth, predicted = targets[train_rows:][rated], fitted.predicted[rated]  # (v,) each
    constant = np.ptp(truth) == 0 or np.ptp(predicted) == 0
    return fitted.arrays, {
        "rows": int((~np.isnan(targets)).sum()),
        "validation_rows": len(truth),
        "validation_mse": float(np.mean((predicted - truth) ** 2)),
        "pearson": float("nan") if constant else float(np.corrcoef(truth, predicted)[0, 1]),
        **fitted.report,
        "seconds": time.monotonic() - began,
    }
