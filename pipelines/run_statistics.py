"""The statistics of a run: saved by `armorm fit-heads`, read by the commands that solve from them."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.fingerprint import digest_of
from cache.progress import Progress
from heads.ridge import from_store
from heads.ridge.files import INDEX, load_statistics
from heads.ridge.statistics import GramStatistics
from pipelines.artefacts import heads_inputs, read_json
from pipelines.recipe import Recipe


def read_statistics(recipe: Recipe) -> GramStatistics:
    """The statistics that `armorm fit-heads` saved for this recipe's rows; opens no feature shard.

    Raises:
        UserError: they are missing, damaged, or of other rows or settings.
    """
    path = recipe.folder / INDEX
    try:
        saved = load_statistics(recipe.folder)
    except FileNotFoundError:
        raise UserError(f"there is no {path}: run `armorm fit-heads` first") from None
    fingerprint = read_json(recipe.folder / "extract.json", "extract").get("fingerprint")
    if saved.stamp != _stamp(recipe, str(fingerprint)):
        raise UserError(f"{path} is of other rows or settings: run `armorm fit-heads` again")
    return saved.statistics


def update_statistics(
    recipe: Recipe, fingerprint: str, store: FeatureStore, examples: pl.DataFrame, progress: Progress
) -> from_store.UpdatedStatistics:
    """Statistics of all rated rows, saved in the run's folder."""
    stamp = _stamp(recipe, fingerprint)
    return from_store.update_statistics(
        recipe.folder, examples, recipe.objectives, _scales(recipe), recipe.heads, store, stamp, progress
    )


def targets_of(recipe: Recipe, examples: pl.DataFrame) -> NDArray[np.float64]:
    """Regression targets of the table's rows. Shape (n, k), NaN where not rated."""
    return from_store.targets_of(examples, recipe.objectives, _scales(recipe))


def _scales(recipe: Recipe) -> from_store.Scales:
    return {
        ratings.name: {objective.name: recipe.scale_of(ratings, objective) for objective in recipe.objectives}
        for ratings in recipe.ratings
    }


def _stamp(recipe: Recipe, fingerprint: str) -> str:
    return digest_of({"heads": heads_inputs(recipe), "fingerprint": fingerprint})
