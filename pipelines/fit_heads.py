"""`armorm fit-heads`: one pass over the stored features, then every head and penalty from its sums."""

import logging
import resource
import time
from typing import Any

import numpy as np

from cache.progress import Progress
from extract.tables import read_table
from heads.selection import FittedObjective, fit_objectives
from pipelines.artefacts import heads_inputs, open_run, write_arrays, write_json
from pipelines.recipe import Recipe
from pipelines.run_statistics import update_statistics

log = logging.getLogger(__name__)


def fit_heads(recipe: Recipe, *, progress: Progress) -> dict[str, Any]:
    """Fit one linear head per objective and write `heads.safetensors` and `heads.json`.

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
    fitted, unfit = fit_objectives(statistics, recipe.heads, skip_unfit=recipe.absent_datasets == "skip")
    for head in fitted:
        if head.at_edge:
            log.warning(
                "%s: the chosen penalty %g is at the edge of heads.alphas; a wider range may do better",
                head.name,
                head.alpha,
            )
    write_arrays(
        recipe.folder / "heads.safetensors",
        {"weight": np.stack([head.weight for head in fitted]).astype(np.float32)},
        {"objectives": "\n".join(head.name for head in fitted)},
    )
    result = {
        "objectives": {head.name: _report(head) for head in fitted},
        "skipped": unfit,
        "alphas": sorted(recipe.heads.alphas),
        "rows": len(examples),
        **counts,
        "features": statistics.width,
        "fitted_on": "training and validation rows, with the penalty chosen on the validation rows",
        "fingerprint": run["fingerprint"],
        "recipe": recipe.digest,
        "inputs": inputs,
        "seconds": time.monotonic() - started,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(recipe.folder / "heads.json", result)
    return result


def _report(head: FittedObjective) -> dict[str, Any]:
    return {
        "rows": head.rows,
        "validation_rows": head.validation_rows,
        "alpha": head.alpha,
        "validation_mse": head.validation_mse,
        "pearson": head.pearson,
        "validation_path": head.validation_path,
    }
