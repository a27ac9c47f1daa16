"""The uncertainty of a run's heads: its thresholds set on validation rows, its file written and read."""

from typing import Any

import numpy as np
import polars as pl
from safetensors import safe_open

from cache import FeatureStore, UserError
from cache.keys import key_column
from heads.ridge.subset import VALIDATION
from heads.ridge.uncertainty import Uncertainty
from pipelines.artefacts import heads_inputs, read_arrays, write_arrays
from pipelines.recipe import Recipe

FILE = "uncertainty.safetensors"

CALIBRATION_ROWS = 1024
"""Validation rows of each rating set, at most: a quantile of 0.99 then has ten rows beyond it."""


def calibrate(
    uncertainty: Uncertainty, recipe: Recipe, store: FeatureStore, examples: pl.DataFrame, objectives: list[str]
) -> None:
    """Set the thresholds of familiarity on validation rows, a random sample of each rating set.

    Args:
        uncertainty: of heads for `objectives`.
        recipe: names the seed of the sample, which is the split's.
        store: holds the rows' features.
        examples: the rated responses.
        objectives: in the order of the heads.
    """
    held_out = examples.filter(pl.col("split") == VALIDATION)
    rng = np.random.default_rng(abs(recipe.split.seed))
    rows: list[int] = []
    for name in sorted(held_out["dataset"].unique()):
        of_set = np.flatnonzero(held_out["dataset"].to_numpy() == name)
        rows += rng.choice(of_set, min(len(of_set), CALIBRATION_ROWS), replace=False).tolist()
    sample = held_out[sorted(rows)]
    features = store.gather(key_column(sample["response_key"]))  # (n, layers, d)
    rated = np.column_stack([sample[name].is_not_null().to_numpy() for name in objectives])  # (n, k)
    uncertainty.calibrate(features.reshape(len(features), -1), rated)


def summary(uncertainty: Uncertainty) -> dict[str, Any]:
    """What `heads.json` says of it."""
    return {
        "quantile": uncertainty.quantile,
        "factors": len(uncertainty.factors),
        "thresholds": uncertainty.thresholds.tolist(),
        "noise": uncertainty.noise.tolist(),
    }


def write_uncertainty(recipe: Recipe, uncertainty: Uncertainty | None, inputs: str) -> None:
    """Write it beside the heads it belongs to, or take an old one away."""
    path = recipe.folder / FILE
    if uncertainty is None:
        path.unlink(missing_ok=True)
    else:
        write_arrays(path, uncertainty.arrays(), {"inputs": inputs})


def read_uncertainty(recipe: Recipe) -> Uncertainty:
    """The uncertainty of this recipe's heads.

    Raises:
        UserError: there is none, or it is of other heads.
    """
    path = recipe.folder / FILE
    if not recipe.heads.uncertainty:
        raise UserError("the recipe keeps no uncertainty: set heads.uncertainty to true and run `armorm fit-heads`")
    arrays = read_arrays(path, "fit-heads")
    with safe_open(path, framework="numpy") as file:
        inputs = file.metadata().get("inputs")
    if inputs != heads_inputs(recipe):
        raise UserError(f"{path} is of other rows or settings: run `armorm fit-heads` again")
    return Uncertainty.of_arrays(arrays)
