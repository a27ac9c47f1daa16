"""The reference set: responses on which lambda is fitted, and those on which the fit is checked."""

import logging
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import unique_keys
from cache.progress import Progress
from gating.correlation import Column
from gating.debiasing import Debiasing, fit_debiasing, verbosity_of
from gating.settings import NO_VERBOSITY, RESPONSE_TOKENS, DebiasingSettings
from heads.stored import predict_stored

log = logging.getLogger(__name__)


def reference_responses(pairs: pl.DataFrame, examples: pl.DataFrame, sets: Sequence[str]) -> pl.DataFrame:
    """Distinct responses of some sets in each split: columns split, key, tokens and prompt_key, sorted by key.

    Args:
        pairs: the table of pairs.
        examples: the table of rated responses.
        sets: names of pair or rating sets.
    """
    sides = [
        pairs.select("dataset", "split", "prompt_key", key=f"{side}_key", tokens=f"{side}_tokens")
        for side in ("chosen", "rejected")
    ]
    rated = examples.select("dataset", "split", "prompt_key", key="response_key", tokens="response_tokens")
    selected = pl.concat([*sides, rated]).filter(pl.col("dataset").is_in(list(sets)))
    return selected.unique(["split", "key"], keep="first", maintain_order=True).sort("key").drop("dataset")


def debias(
    responses: pl.DataFrame,
    settings: DebiasingSettings,
    sets: Sequence[str],
    store: FeatureStore,
    weight: NDArray[np.float32],
    objectives: tuple[str, ...],
    progress: Progress,
) -> tuple[Debiasing, tuple[Column, Column]]:
    """Fit lambda on the training responses of the reference sets.

    Args:
        responses: result of `reference_responses`.
        settings: what verbosity is, and how lambda is found.
        sets: names of the reference sets.
        store: holds the features.
        weight: (k, layers * hidden_size) linear heads.
        objectives: names of the k rewards.
        progress: receives the number of responses read.

    Returns:
        The fit, and the correlations with verbosity before and after it on the validation responses, (k,) each, NaN
        where there are fewer than two.

    Raises:
        UserError: the verbosity objective was not fitted or is the only one, or the sets have no training responses.
    """
    verbosity = settings.verbosity
    if verbosity not in (RESPONSE_TOKENS, NO_VERBOSITY, *objectives):
        raise UserError(
            f"debiasing.verbosity: the objective {verbosity} was not fitted: name another, or 'response_tokens'"
        )
    if objectives == (verbosity,):
        raise UserError(
            f"debiasing.verbosity: {verbosity} is the only objective, and nothing is left of it: name"
            " 'response_tokens' or 'none'"
        )
    values = {}
    for split in ("train", "validation"):
        of_split = responses.filter(pl.col("split") == split)
        if of_split.is_empty() and split == "train":
            raise UserError(
                f"debiasing.reference: there are no training responses in {', '.join(sets)}: name other sets, or take"
                " the key out"
            )
        rewards = predict_stored(store, unique_keys(of_split["key"])[0], weight, progress)  # (n, k)
        column = verbosity_of(verbosity, rewards, objectives, of_split["tokens"].to_numpy())  # (n,)
        values[split] = rewards, column.astype(np.float64)
    debiasing = fit_debiasing(*values["train"], objectives, settings)
    for name, sentence in no_roots(debiasing, settings.method).items():
        log.warning("%s: %s", name, sentence)
    return debiasing, debiasing.correlations(*values["validation"])


def no_roots(debiasing: Debiasing, method: str) -> dict[str, str]:
    """Objective -> one sentence, where its correlation with verbosity is not near zero on the reference set."""
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
