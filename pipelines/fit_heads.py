"""`armorm fit-heads`: one pass over the stored features, then every head and penalty from its sums."""

import logging
import resource
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.progress import Progress
from extract.tables import read_table
from heads.ridge.objective_fit import FittedObjective
from heads.ridge.selection import FittedHeads
from heads.ridge.selection import fit_heads as fit
from heads.ridge.statistics import GramStatistics
from pipelines.artefacts import heads_inputs, open_run, write_arrays, write_json
from pipelines.recipe import Recipe
from pipelines.run_statistics import update_statistics
from pipelines.run_uncertainty import calibrate, summary, write_uncertainty

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
    statistics, counts = update_statistics(recipe, run["fingerprint"], store, examples, progress)
    heads = fit(statistics, recipe.heads, skip_unfit=recipe.missing_datasets == "skip", progress=progress)
    for head in heads.objectives:
        _warn(head)
    write_arrays(
        recipe.folder / "heads.safetensors",
        {"weight": _weights(heads, statistics, recipe.heads.layer)},
        {"objectives": "\n".join(head.name for head in heads.objectives)},
    )
    uncertainty = heads.uncertainty
    if uncertainty is not None:
        calibrate(uncertainty, recipe, store, examples, [head.name for head in heads.objectives])
    write_uncertainty(recipe, uncertainty, inputs)
    result = {
        "objectives": {head.name: _report(head) for head in heads.objectives},
        "skipped": heads.skipped,
        "alphas": sorted(recipe.heads.alphas),
        "rows": len(examples),
        **counts,
        "features": statistics.width,
        "fitted_on": f"training and validation rows, with the penalty chosen {CHOSEN_BY[recipe.heads.choose]}",
        "layer": recipe.heads.layer,
        "uncertainty": None if uncertainty is None else summary(uncertainty),
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": inputs,
        "seconds": time.monotonic() - started,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
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


def _weights(heads: FittedHeads, statistics: GramStatistics, layer: int | None) -> NDArray[np.float32]:
    """Heads over all layers' features, 0 where they do not look. Shape (k, layers * d)."""
    weights = np.zeros((len(heads.objectives), statistics.width), dtype=np.float32)
    hidden = statistics.width // statistics.layers
    columns = slice(None) if layer is None else slice(layer * hidden, (layer + 1) * hidden)
    weights[:, columns] = np.stack([head.weight for head in heads.objectives])
    return weights


def _report(head: FittedObjective) -> dict[str, Any]:
    return {
        "rows": head.rows,
        "validation_rows": head.validation_rows,
        "alpha": head.alpha,
        "validation_mse": head.validation_mse,
        "pearson": head.pearson,
        "validation_path": head.validation_path,
        "degrees_of_freedom": head.degrees_of_freedom,
        "condition": head.condition,
        "constant": head.constant,
    }
