"""`armorm report`: one page of everything a run's files tell, and the figures as files."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import polars as pl
from jinja2 import UndefinedError

from cache import FeatureStore, UserError
from cache.durable import write_text
from evaluation import ablation_plots, gate_plots
from evaluation.figures import ABSENT, available, styled, write
from evaluation.report.inputs import File, ReportInputs
from evaluation.report.page import render
from evaluation.results import Analysis, Ratings, Report, Suite
from evaluation.suites import SUITES
from extract.tables import read_table
from pipelines.artefacts import gating_inputs, heads_inputs, read_json, read_run, typed
from pipelines.recipe import Recipe
from pipelines.scored_responses import read_scored

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
    try:
        html = render(run)
        files = _draw(run, recipe.folder / "plots") if plots else []
    except (KeyError, UndefinedError) as error:
        raise UserError(
            f"a file in {recipe.folder} lacks what the report shows ({error}), as one of another version would: run"
            " fit-heads, train-gating, eval and ablate again"
        ) from error
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
    extract = read_run(recipe)
    missing: dict[str, str] = {}
    heads = _current(recipe, "heads", "fit-heads", heads_inputs, missing)
    ratings = _current(recipe, "ratings", "analyse", heads_inputs, missing) if heads else {}
    gating = _current(recipe, "gating", "train-gating", gating_inputs, missing) if heads else {}
    ablations = _current(recipe, "ablations", "ablate", heads_inputs, missing) if heads else {}
    if not heads:
        missing |= dict.fromkeys(("ratings", "gating", "ablations"), missing["heads"])
    suites = _suites(recipe, missing) if gating else {}
    if not gating:
        missing["suites"] = missing["gating"]
    scored = _scored(recipe, suites, missing)
    return ReportInputs(
        name=recipe.name,
        folder=str(recipe.folder),
        note=recipe.note,
        settings=recipe.model_dump(mode="json"),
        fingerprints=_fingerprints(recipe, extract, heads, gating),
        extract=extract,
        heads=heads,
        ratings=typed(ratings, Ratings, recipe.folder / "ratings.json", "analyse") if ratings else None,
        gating=gating,
        ablations=ablations,
        suites=suites,
        analyses=_analyses(recipe, suites),
        scored=scored,
        texts=_texts(recipe, missing) if scored is not None else None,
        skipped=_skipped(recipe),
        missing=missing,
        plots=plots,
    )


def _current(recipe: Recipe, name: str, command: str, inputs: Callable[[Recipe], str], missing: dict[str, str]) -> File:
    """A file of the run; empty, with its reason in `missing`, where it is not there or belongs to other rows."""
    path = recipe.folder / f"{name}.json"
    if not path.exists():
        missing[name] = f"There is no {path}: run `armorm {command}`."
        return {}
    found = read_json(path, command)
    if found.get("inputs") != inputs(recipe):
        missing[name] = f"{path} is of other rows or settings and is left out: run `armorm {command}` again."
        return {}
    return found


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


def _skipped(recipe: Recipe) -> tuple[File, ...]:
    path = recipe.folder / "skipped.jsonl"
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8") as lines:
            return tuple(json.loads(line) for line in islice(lines, SKIPPED))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): run `armorm extract` again") from None


def _fingerprints(recipe: Recipe, extract: File, heads: File, gating: File) -> dict[str, str]:
    told = {"recipe": recipe.digest, "features": extract["fingerprint"]}
    try:
        fingerprint = FeatureStore.open(recipe.store.root, extract["fingerprint"]).fingerprint
    except UserError as error:  # the page needs no feature
        log.info("the store's description is left out: %s", error)
    else:
        told |= {f"features: {part.replace('_', ' ')}": str(value) for part, value in asdict(fingerprint).items()}
    told |= {f"rows of {name}": commit for name, commit in extract.get("revisions", {}).items()}
    return told | {
        name: file["inputs"]
        for name, file in (("what the heads are of", heads), ("what the gate is of", gating))
        if file
    }


def _draw(run: ReportInputs, folder: Path) -> list[Path]:
    """Every figure there is something to show in, as SVG and PNG."""
    files: list[Path] = []
    if run.heads:
        path = {name: head["validation_path"] for name, head in run.heads["objectives"].items()}
        with styled():
            drawn = ablation_plots.alphas(
                {
                    "baseline": run.heads["objectives"],
                    "alphas": {"alphas": run.heads["alphas"], "validation_mse": path},
                }
            )
            files += write(drawn, folder, "validation") if drawn is not None else []
    if run.gating:
        files += gate_plots.plot_gating(run.gating, folder)
    for suite in run.suites.values():
        files += gate_plots.plot_coefficients(suite, folder)
    if run.ablations:
        files += ablation_plots.draw(run.ablations, folder)
    return files
