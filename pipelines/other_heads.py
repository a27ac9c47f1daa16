"""The other heads of a run, read back."""

from cache import UserError
from heads.kinds.fitted import PairwiseHeads
from heads.kinds.registry import PAIRWISE
from pipelines.artefacts import other_heads_inputs, read_arrays, read_json
from pipelines.recipe import Recipe


def read_other_heads(recipe: Recipe) -> PairwiseHeads:
    """Read what `armorm train-gating` wrote for the pairwise heads that the recipe names.

    Raises:
        UserError: they are missing, or of other settings, rows or features.
    """
    if not any(name in PAIRWISE for name in recipe.other_heads.fit):
        return PairwiseHeads({})
    path = recipe.folder / "other_heads.json"
    report = read_json(path, "train-gating")
    extracted = read_json(recipe.folder / "extract.json", "extract")
    if report.get("fingerprint") != extracted.get("fingerprint") or report.get("inputs") != other_heads_inputs(recipe):
        raise UserError(f"{path} is of other features, rows or settings: run `armorm train-gating` again")
    arrays = read_arrays(recipe.folder / "other_heads.safetensors", "train-gating")
    return PairwiseHeads.of_arrays(recipe.other_heads.fit, arrays)
