"""`armorm report`: one page of all that a run found, and the figures as files."""

import json
import logging
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cache import UserError
from pipelines.terminal import JsonOption, RecipeOption, console, finish, open_run

if TYPE_CHECKING:
    from evaluation.report.inputs import ReportInputs, SkippedRow
    from evaluation.results import Report
    from pipelines.run import Run

Result = TypeVar("Result")

log = logging.getLogger(__name__)

EXAMPLE = "armorm report --recipe recipes/demo.toml"

SKIPPED_ROWS = 50
"""Skipped rows that the page names one by one."""


def command(
    recipe: RecipeOption,
    plots: Annotated[bool, typer.Option(help="Draw figures too, if matplotlib is installed.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write one page of all that a run found, to be opened in a browser: `runs/<recipe>/report.html`."""
    run = open_run(recipe)
    with run.writing():
        result = report(run, plots=plots)
    finish(result, as_json, lambda: show(result))


def report(run: "Run", *, plots: bool = True) -> "Report":
    """Write `report.html` from the run's results, and `plots/` if matplotlib is installed.

    A result that is not current is left out; the page says so in its place, with the command that makes it.

    Raises:
        UserError: nothing was extracted yet.
    """
    from cache.durable import write_text
    from evaluation.figures import NOT_INSTALLED, available
    from evaluation.report.page import render
    from evaluation.results import Report
    from pipelines.artefacts import PAGE, PLOTS

    started = time.monotonic()
    if not available():
        log.warning("%s", NOT_INSTALLED)
    plots = plots and available()
    inputs = gather(run, plots=plots)
    page = run.path(PAGE)
    write_text(page, render(inputs))
    files = _draw(inputs, run.path(PLOTS)) if plots else []
    return Report(
        page=str(page),
        bytes=page.stat().st_size,
        plots=tuple(map(str, files)),
        missing=inputs.missing,
        seconds=time.monotonic() - started,
    )


def gather(run: "Run", *, plots: bool) -> "ReportInputs":
    """The run's current results, and why the others are missing.

    Raises:
        UserError: nothing was extracted yet.
    """
    from evaluation.report.inputs import ReportInputs
    from pipelines.artefacts import (
        ABLATIONS,
        GATING,
        HEADS,
        OTHER_HEADS,
        RATINGS,
        SUITE_TEXTS,
        Artefact,
        analysis,
        suite,
    )

    missing: dict[str, str] = {}

    def current(part: str, artefact: Artefact[Result]) -> Result | None:
        if (problem := run.problem(artefact)) is not None:
            missing[part] = _sentence(problem)
        return run.current(artefact)

    extract = run.extracted
    heads, gating = current("heads", HEADS), current("gating", GATING)
    ratings, ablations = current("ratings", RATINGS), current("ablations", ABLATIONS)
    other_heads = current("other_heads", OTHER_HEADS) if run.recipe.other_heads.fit else None
    stale: list[str] = []
    suites = run.current_suites(stale.append)
    reasons = " ".join(dict.fromkeys(map(_sentence, stale)))
    if not suites:
        missing["suites"] = reasons or missing.get("gating") or "No suite was judged: run `armorm eval`."
        missing["examples"] = missing["suites"]
    elif stale:
        missing["stale"] = reasons
    analyses = {name: current(f"{name}.analysis", analysis(name)) for name in suites}
    scored = run.table(suite(next(iter(suites)))) if suites else None
    if scored is not None and (problem := run.problem(SUITE_TEXTS)) is not None:
        missing["texts"] = f"Prompts and responses cannot be shown. {_sentence(problem)}"
    return ReportInputs(
        name=run.recipe.name,
        folder=str(run.folder),
        note=run.recipe.note,
        settings=run.recipe.model_dump(mode="json"),
        fingerprints=_fingerprints(run),
        extract=extract,
        heads=heads,
        ratings=ratings,
        gating=gating,
        ablations=ablations,
        suites=suites,
        other_heads=other_heads,
        analyses={name: one for name, one in analyses.items() if one is not None},
        scored=scored,
        texts=run.table(SUITE_TEXTS) if scored is not None and "texts" not in missing else None,
        skipped=_skipped(run),
        missing=missing,
        plots=plots,
    )


def _sentence(problem: str) -> str:
    return f"{problem[:1].upper()}{problem[1:]}."


def _skipped(run: "Run") -> "tuple[SkippedRow, ...]":
    """The first rows that extraction skipped."""
    from evaluation.report.inputs import SkippedRow
    from pipelines.artefacts import SKIPPED

    path = run.path(SKIPPED)
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8") as lines:
            return tuple(SkippedRow(**json.loads(line)) for line in islice(lines, SKIPPED_ROWS))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): run `armorm extract` again") from None


def _fingerprints(run: "Run") -> dict[str, str]:
    parts = {"recipe": run.digest, "features": run.fingerprint}
    try:
        fingerprint = run.store.fingerprint
    except UserError as error:  # the page needs no feature
        log.info("the store's description is left out: %s", error)
    else:
        parts |= {f"features: {part.replace('_', ' ')}": str(value) for part, value in asdict(fingerprint).items()}
    return parts | {f"rows of {name}": commit for name, commit in run.extracted.revisions.items()}


def _draw(inputs: "ReportInputs", folder: Path) -> list[Path]:
    """Draw every figure that there is something to show in, as SVG and PNG."""
    from cache.names import FileName
    from evaluation import ablation_plots, decision_plots, gate_plots
    from evaluation.figures import styled, write
    from heads.ablation_results import AlphaPaths

    files: list[Path] = []
    if inputs.heads is not None and inputs.heads.alphas:
        with styled():
            drawn = ablation_plots.alpha_paths(
                AlphaPaths(
                    inputs.heads.alphas,
                    {name: head.validation_path for name, head in inputs.heads.objectives.items()},
                ),
                inputs.heads.objectives,
            )
            files += write(drawn, folder, FileName("validation")) if drawn is not None else []
    if inputs.gating is not None:
        files += gate_plots.plot_gating(inputs.gating, folder)
    for result in inputs.suites.values():
        files += gate_plots.plot_coefficients(result, folder)
    for analysis in inputs.analyses.values():
        files += decision_plots.plot_decisions(analysis, folder)
    if inputs.ablations is not None:
        files += ablation_plots.draw(inputs.ablations, folder)
    return files


def show(result: "Report") -> None:
    """Print where the page lies, and what it could not show."""
    out = console()
    for sentence in dict.fromkeys(result.missing.values()):
        out.print(f"not in the report: {sentence}", highlight=False)
    if result.plots:
        out.print(f"{len(result.plots)} figures: {Path(result.plots[0]).parent}", highlight=False)
    out.print(f"the report: {result.page} ({result.bytes / 1e3:,.0f} kB; open it in a browser)", highlight=False)
