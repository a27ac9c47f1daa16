"""The fitted parts of a run, read back: linear heads, and with them the gate and the rules."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from gating.fitted_rules import FittedRules
from gating.gate import GateShapeError
from pipelines.artefacts import gating_inputs, heads_inputs, read_arrays, read_json
from pipelines.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Heads:
    """The linear heads of a run."""

    objectives: tuple[str, ...]
    weight: NDArray[np.float32]
    """(k, layers * hidden_size)"""

    @classmethod
    def read(cls, recipe: Recipe) -> "Heads":
        """Read what `armorm fit-heads` wrote for this recipe and its features."""
        report = read_json(recipe.folder / "heads.json", "fit-heads")
        extracted = read_json(recipe.folder / "extract.json", "extract")
        if report.get("fingerprint") != extracted.get("fingerprint"):
            raise UserError(f"{recipe.folder / 'heads.json'} is of other features: run `armorm fit-heads` again")
        if report.get("inputs") != heads_inputs(recipe):
            raise UserError(
                f"{recipe.folder / 'heads.json'} is of other rows or settings: run `armorm fit-heads` again"
            )
        weight = read_arrays(recipe.folder / "heads.safetensors", "fit-heads")["weight"]
        return cls(tuple(report["objectives"]), weight)


def read_fitted_rules(recipe: Recipe) -> FittedRules:
    """Read what `armorm fit-heads` and `armorm train-gating` wrote."""
    heads = Heads.read(recipe)
    report = read_json(recipe.folder / "gating.json", "train-gating")
    arrays = read_arrays(recipe.folder / "gating.safetensors", "train-gating")
    if report.get("inputs") != gating_inputs(recipe):
        raise UserError(
            f"{recipe.folder / 'gating.json'} is of other heads, rows or settings: run `armorm train-gating` again"
        )
    if tuple(report["lambda"]) != heads.objectives:
        raise UserError(
            f"{recipe.folder / 'gating.json'} has other objectives than the heads: run `armorm train-gating` again"
        )
    try:
        return FittedRules.of_arrays(heads.objectives, heads.weight, arrays, report["verbosity"], recipe.gate)
    except GateShapeError:
        raise UserError(
            f"{recipe.folder / 'gating.safetensors'} was trained with other heads or gate settings:"
            " run `armorm train-gating` again"
        ) from None
