"""`armorm fit-heads`: one pass over the stored features, then every head and penalty from its sums."""

import logging
import resource
import time
from dataclasses import asdict
from typing import Any

from cache.progress import Progress
from extract.tables import read_table
from heads.results import Heads
from heads.ridge.objective_fit import FittedObjective
from heads.ridge.selection import fit_heads as fit
from heads.ridge.uncertainty import calibrate
from pipelines.artefacts import heads_inputs, open_run, write_arrays, write_json
from pipelines.recipe import Recipe
from pipelines.run_statistics import update_statistics
from pipelines.run_uncertainty import write_uncertainty

log = logging.getLogger(__name__)

CHOSEN_BY = {
    "validation": "on the validation rows",
    "gcv": "by generalised cross-validation on the training rows",
}


def fit_heads(recipe: Recipe, *, progress: Progress) -> dict[str, Any]:
    """Fit one linear head per objective; write `heads.safetensors`, `heads.json`, statistics and uncertainty.

    Returns:
        What `heads.json` holds.

    Raises:
        UserError: nothing was extracted yet, or an objective cannot be fitted.
    """
    started = time.monotonic()
    run, store = open_run(recipe)
    examples = read_table(recipe.folder / "tables", "examples")
    inputs = heads_inputs(recipe)
    updated = update_statistics(recipe, run["fingerprint"], store, examples, progress)
    statistics = updated.statistics
    heads = fit(statistics, recipe.heads, skip_unfit=recipe.missing_datasets == "skip", progress=progress)
    for head in heads.objectives:
        _warn(head)
    write_arrays(
        recipe.folder / "heads.safetensors",
        {"weight": heads.weight(statistics.layers)},
        {"objectives": "\n".join(head.name for head in heads.objectives)},
    )
    uncertainty = heads.uncertainty
    if uncertainty is not None:
        calibrate(uncertainty, store, examples, [head.name for head in heads.objectives], recipe.split.seed)
    write_uncertainty(recipe, uncertainty, inputs)
    found = Heads(
        objectives={head.name: head.result() for head in heads.objectives},
        skipped=heads.skipped,
        alphas=tuple(sorted(recipe.heads.alphas)),
        rows=len(examples),
        rows_read=updated.rows_read,
        rows_reused=updated.rows_reused,
        features=statistics.width,
        fitted_on=f"training and validation rows, with the penalty chosen {CHOSEN_BY[recipe.heads.choose]}",
        layer=recipe.heads.layer,
        uncertainty=None if uncertainty is None else uncertainty.summary(),
        seconds=time.monotonic() - started,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    result = asdict(found) | {"fingerprint": run["fingerprint"], "recipe": recipe.digest, "inputs": inputs}
    write_json(recipe.folder / "heads.json", result)
    return result


def _warn(head: FittedObjective) -> None:
    if head.constant:
        log.warning("%s: all its ratings are the same, so its head says nothing about a response", head.name)
    elif head.at_edge:
        log.warning(
            "%s: the chosen penalty %g is at the edge of heads.alphas; a wider range may do better",
            head.name,
            head.alpha,
        )
