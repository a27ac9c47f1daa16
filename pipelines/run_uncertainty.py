"""The uncertainty of a run's heads: its file, written and read."""

from safetensors import safe_open

from cache import UserError
from heads.ridge.uncertainty import Uncertainty
from pipelines.artefacts import heads_inputs, read_arrays, write_arrays
from pipelines.recipe import Recipe

FILE = "uncertainty.safetensors"


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
