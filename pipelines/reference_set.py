"""The responses on which lambda is fitted, those on which it is checked, and the fit itself."""

import logging

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import unique_keys
from cache.progress import Progress
from extract.tables import read_table
from gating.debiasing import Debiasing, fit_debiasing
from gating.settings import RESPONSE_TOKENS
from heads.stored import predict_stored
from pipelines.fitted_model import Heads, verbosity_of
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

Column = NDArray[np.float64]


def debias(
    recipe: Recipe, store: FeatureStore, heads: Heads, progress: Progress
) -> tuple[Debiasing, tuple[Column, Column]]:
    """Fit lambda on the training responses of the reference sets.

    Returns:
        The transform, and the correlations with verbosity before and behind it on the same sets' held-out responses,
        (k,) each, NaN where there are fewer than two.

    Raises:
        UserError: the verbosity objective was not fitted or is the only one, or the sets have no such responses.
    """
    settings = recipe.debiasing
    verbosity = settings.verbosity
    if verbosity not in (RESPONSE_TOKENS, "none", *heads.objectives):
        raise UserError(
            f"debiasing.verbosity: the objective {verbosity} was not fitted: name another, or 'response_tokens'"
        )
    if heads.objectives == (verbosity,):
        raise UserError(
            f"debiasing.verbosity: {verbosity} is the only objective, and nothing is left of it: name"
            " 'response_tokens' or 'none'"
        )
    values = {}
    for split in ("train", "validation"):
        responses = _responses(recipe, split)
        if responses.is_empty() and split == "train":
            raise UserError(f"debiasing.reference: there are no training responses in {', '.join(_sets(recipe))}")
        rewards = predict_stored(store, unique_keys(responses["key"])[0], heads.weight, progress)  # (n, k)
        column = verbosity_of(verbosity, rewards, heads.objectives, responses["tokens"].to_numpy())
        values[split] = rewards, column.astype(np.float64)
    debiasing = fit_debiasing(*values["train"], heads.objectives, settings)
    for name, sentence in no_roots(debiasing, settings.method).items():
        log.warning("%s: %s", name, sentence)
    return debiasing, debiasing.correlations(*values["validation"])


def no_roots(debiasing: Debiasing, method: str) -> dict[str, str]:
    """Objective -> one sentence, for those whose correlation with verbosity is not near zero on the reference set."""
    remaining = dict(zip(debiasing.objectives, debiasing.after, strict=True))
    because = (
        "no value of the published grid brings it nearer, which holds no negative one; use debiasing.method = 'root'"
        if method == "published_grid"
        else "it steps over zero, as it can where few responses or few distinct ratings are; add reference sets"
    )
    return {
        name: f"its {debiasing.correlation} correlation with {debiasing.verbosity} stays at {remaining[name]:+.3f},"
        f" the closest to zero that was found: {because}"
        for name in debiasing.not_taken_out()
    }


def _responses(recipe: Recipe, split: str) -> pl.DataFrame:
    """Distinct responses of the reference sets in a split: key and length, sorted by key."""
    tables = recipe.folder / "tables"
    pairs = read_table(tables, "pairs")
    sides = [
        pairs.select("dataset", "split", key=f"{side}_key", tokens=f"{side}_tokens") for side in ("chosen", "rejected")
    ]
    examples = read_table(tables, "examples").select("dataset", "split", key="response_key", tokens="response_tokens")
    everything = pl.concat([*sides, examples])
    chosen = everything.filter(pl.col("dataset").is_in(_sets(recipe)) & (pl.col("split") == split))
    return chosen.unique("key").sort("key")


def _sets(recipe: Recipe) -> list[str]:
    return list(recipe.debiasing.reference) or [pairs.name for pairs in recipe.pairs]
