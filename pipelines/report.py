"""`armorm report`: one page of everything a run's files tell, and the figures as files."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TypeVar

import polars as pl

from cache import FeatureStore, UserError
from cache.durable import write_text
from evaluation import ablation_plots, gate_plots
from evaluation.figures import ABSENT, available, styled, write
from evaluation.report.inputs import ReportInputs, SkippedRow
from evaluation.report.page import render
from evaluation.results import Analysis, Ratings, Report, Suite
from evaluation.suites import SUITES
from extract.results import Extract
from extract.tables import read_table
from gating.results import Gating
from heads.results import Ablations, AlphaPaths, Heads, OtherHeads
from pipelines.artefacts import (
    gating_inputs,
    heads_inputs,
    other_heads_inputs,
    read_json,
    read_run,
    typed,
)
from pipelines.recipe import Recipe
from pipelines.scored_responses import read_scored

Result = TypeVar("Result")

log = logging.getLogger(__name__)

SKIPPED = 50
"""Number of skipped rows that the page names one by one."""

PAGE = "report.html"


def report(recipe: Recipe, *, plots: bool = True) -> Report:
    """Write `report.html` from what the run's folder holds, and `plots/` if matplotlib is installed.

    A file that is not there, or of other rows or settings than the recipe's, is left out; the page says so in its
    place, with the command that makes it.

    Raises:
        UserError: nothing was extracted yet, or a file of the run is damaged or lacks what the page shows.
    """
    started = time.monotonic()
    plots = plots and available()
    if not available():
        log.warning("%s", ABSENT)
    run = read(recipe, plots=plots)
    html = render(run)
    files = _draw(run, recipe.folder / "plots") if plots else []
    path = recipe.folder / PAGE
    write_text(path, html)
    return Report(
        page=str(path),
        bytes=path.stat().st_size,
        plots=tuple(map(str, files)),
        missing=run.missing,
        seconds=time.monotonic() - started,
    )


def read(recipe: Recipe, *, plots: bool) -> ReportInputs:
    """The run's files, as far as they are there and belong together.

    Raises:
        UserError: nothing was extracted yet, or a file is damaged.
    """
    run = read_run(recipe)
    missing: dict[str, str] = {}
    heads = _current(recipe, "heads", "fit-heads", Heads, heads_inputs, missing)
    ratings = _current(recipe, "ratings", "analyse", Ratings, heads_inputs, missing) if heads else None
    gating = _current(recipe, "gating", "train-gating", Gating, gating_inputs, missing) if heads else None
    other_heads = None
    if recipe.other_heads.fit and gating:
        other_heads = _current(recipe, "other_heads", "train-gating", OtherHeads, other_heads_inputs, {})
    ablations = _current(recipe, "ablations", "ablate", Ablations, heads_inputs, missing) if heads else None
    if not heads:
        missing |= dict.fromkeys(("ratings", "gating", "ablations"), missing["heads"])
    suites = _suites(recipe, missing) if gating else {}
    if not gating:
        missing["suites"] = missing["gating"]
    scored = _scored(recipe, suites, missing)
    extract = typed(run, Extract, recipe.folder / "extract.json", "extract")
    return ReportInputs(
        name=recipe.name,
        folder=str(recipe.folder),
        note=recipe.note,
        settings=recipe.model_dump(mode="json"),
        fingerprints=_fingerprints(recipe, run["fingerprint"], extract.revisions, heads=heads, gating=gating),
        extract=extract,
        heads=heads,
        ratings=ratings,
        gating=gating,
        other_heads=other_heads,
        ablations=ablations,
        suites=suites,
        analyses=_analyses(recipe, suites),
        scored=scored,
        texts=_texts(recipe, missing) if scored is not None else None,
        skipped=_skipped(recipe),
        missing=missing,
        plots=plots,
    )


def _current(
    recipe: Recipe,
    name: str,
    command: str,
    kind: type[Result],
    inputs: Callable[[Recipe], str],
    missing: dict[str, str],
) -> Result | None:
    """A file of the run; None, with its reason in `missing`, where it is not there or belongs to other rows."""
    path = recipe.folder / f"{name}.json"
    if not path.exists():
        missing[name] = f"There is no {path}: run `armorm {command}`."
        return None
    found = read_json(path, command)
    if found.get("inputs") != inputs(recipe):
        missing[name] = f"{path} is of other rows or settings and is left out: run `armorm {command}` again."
        return None
    return typed(found, kind, path, command)


def _suites(recipe: Recipe, missing: dict[str, str]) -> dict[str, Suite]:
    """Every suite judged with this recipe, in the order in which they are known."""
    suites, stale = {}, []
    for name in SUITES:
        path = recipe.folder / f"{name}.json"
        if not path.exists():
            continue
        found = read_json(path, f"eval --suite {name}")
        if found.get("recipe") == recipe.digest:
            suites[name] = typed(found, Suite, path, f"eval --suite {name}")
        else:
            stale.append(f"{path} is of other settings and is left out: run `armorm eval --suite {name}` again.")
    if not suites:
        missing["suites"] = " ".join(stale) or "No suite was judged: run `armorm eval`."
    elif stale:
        missing["stale"] = " ".join(stale)
    return suites


def _analyses(recipe: Recipe, suites: dict[str, Suite]) -> dict[str, Analysis]:
    """What else the suites' scores say."""
    analyses = {}
    for name in suites:
        path = recipe.folder / f"{name}.analysis.json"
        found = read_json(path, "analyse") if path.exists() else {}
        if found.get("recipe") == recipe.digest:
            analyses[name] = typed(found, Analysis, path, "analyse")
    return analyses


def _scored(recipe: Recipe, suites: dict[str, Suite], missing: dict[str, str]) -> pl.DataFrame | None:
    if not suites:
        missing["examples"] = missing["suites"]
        return None
    try:
        return read_scored(recipe, next(iter(suites)))
    except UserError as error:
        missing["examples"] = f"There are no examples, for {error}."
        return None


def _texts(recipe: Recipe, missing: dict[str, str]) -> pl.DataFrame | None:
    try:
        return read_table(recipe.folder / "tables", "suite_texts")
    except UserError as error:
        missing["texts"] = f"Prompts and responses cannot be shown, for {error}; what is stored already is used again."
        return None


def _skipped(recipe: Recipe) -> tuple[SkippedRow, ...]:
    path = recipe.folder / "skipped.jsonl"
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8") as lines:
            found = [json.loads(line) for line in islice(lines, SKIPPED)]
        return tuple(SkippedRow(line["dataset"], line["row"], line["reason"]) for line in found)
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): run `armorm extract` again") from None


def _fingerprints(
    recipe: Recipe, features: str, revisions: dict[str, str], *, heads: Heads | None, gating: Gating | None
) -> dict[str, str]:
    digests = {"recipe": recipe.digest, "features": features}
    try:
        fingerprint = FeatureStore.open(recipe.store.root, features).fingerprint
    except UserError as error:  # the page needs no feature
        log.info("the store's description is left out: %s", error)
    else:
        digests |= {f"features: {part.replace('_', ' ')}": str(value) for part, value in asdict(fingerprint).items()}
    digests |= {f"rows of {name}": commit for name, commit in revisions.items()}
    if heads:
        digests["inputs of the heads"] = heads_inputs(recipe)
    if gating:
        digests["inputs of the gate"] = gating_inputs(recipe)
    return digests


def _draw(run: ReportInputs, folder: Path) -> list[Path]:
    """Every figure that has something to show, as SVG and PNG."""
    files: list[Path] = []
    if run.heads:
        paths = {name: head.validation_path for name, head in run.heads.objectives.items()}
        with styled():
            drawn = ablation_plots.alpha_paths(AlphaPaths(run.heads.alphas, paths), run.heads.objectives)
            files += write(drawn, folder, "validation") if drawn is not None else []
    if run.gating:
        files += gate_plots.plot_gating(run.gating, folder)
    for suite in run.suites.values():
        files += gate_plots.plot_coefficients(suite, folder)
    if run.ablations:
        files += ablation_plots.draw(run.ablations, folder)
    return files
