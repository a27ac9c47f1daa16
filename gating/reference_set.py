"""The reference set: responses on which lambda is fitted, and those on which the fit is checked."""

import logging
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import unique_keys
from cache.progress import Progress
from extract.style import STYLE
from gating.debiasing import Debiasing, fit_debiasing
from gating.joint_correlation import Matrix
from gating.measured import Measured
from gating.settings import (
    MEASURED,
    NO_VERBOSITY,
    RESPONSE_TOKENS,
    DebiasingSettings,
    in_order,
    unknown_variable,
    variables_of,
)
from heads.stored import predict_stored

log = logging.getLogger(__name__)


def reference_responses(pairs: pl.DataFrame, examples: pl.DataFrame, sets: Sequence[str]) -> pl.DataFrame:
    """Distinct responses of some sets: columns split, key, prompt_key, and what is measured in them; sorted by key.

    Args:
        pairs: the table of pairs.
        examples: the table of rated responses.
        sets: names of pair or rating sets.
    """
    sides = [
        pairs.select(
            "dataset",
            "split",
            "prompt_key",
            key=f"{side}_key",
            response_tokens=f"{side}_tokens",
            **{mark: f"{side}_{mark}" for mark in STYLE},
        )
        for side in ("chosen", "rejected")
    ]
    rated = examples.select("dataset", "split", "prompt_key", "response_tokens", *STYLE, key="response_key")
    selected = pl.concat([*sides, rated.select(sides[0].columns)]).filter(pl.col("dataset").is_in(list(sets)))
    # Texts that the template cuts to the same tokens may differ in their marks: the first counts, in every run.
    return selected.unique(["split", "key"], keep="first", maintain_order=True).sort("key").drop("dataset")


def debias(
    responses: pl.DataFrame,
    settings: DebiasingSettings,
    sets: Sequence[str],
    store: FeatureStore,
    weight: NDArray[np.float32],
    objectives: tuple[str, ...],
    progress: Progress,
) -> tuple[Debiasing, tuple[Matrix, Matrix]]:
    """Fit lambdas on the training responses of the reference sets.

    Args:
        responses: result of `reference_responses`.
        settings: what is taken out, and how lambdas are found.
        sets: names of the reference sets.
        store: holds the features.
        weight: (k, layers * hidden_size) linear heads.
        objectives: names of the k rewards.
        progress: receives the number of responses read.

    Returns:
        The fit, and the correlations with the m variables before and after it on the validation responses, (m, k)
        each, NaN where there are fewer than two.

    Raises:
        UserError: a variable is an objective that was not fitted, every objective is a variable, one does not vary, or
            the sets have no training responses.
    """
    named = variables_of(settings.verbosity)
    if (unknown := unknown_variable(settings.verbosity, objectives)) is not None:
        raise UserError(
            f"debiasing.verbosity: the objective {unknown} was not fitted: name another, or '{RESPONSE_TOKENS}'"
        )
    if set(objectives) <= set(named):
        only = f"{objectives[0]} is the only objective" if len(objectives) == 1 else "it names every objective"
        raise UserError(
            f"debiasing.verbosity: {only}, and nothing is left of it: name '{RESPONSE_TOKENS}' or '{NO_VERBOSITY}'"
        )
    variables = in_order(named, objectives)
    values = {}
    for split in ("train", "validation"):
        of_split = responses.filter(pl.col("split") == split)
        if of_split.is_empty() and split == "train":
            raise UserError(
                f"debiasing.reference: there are no training responses in {', '.join(sets)}: name other sets, or take"
                " the key out"
            )
        rewards = predict_stored(store, unique_keys(of_split["key"])[0], weight, progress)  # (n, k)
        values[split] = rewards, _values(variables, rewards, objectives, Measured.of_rows(of_split))
    debiasing = fit_debiasing(*values["train"], variables, objectives, settings)
    for name, sentence in no_roots(debiasing, settings.method).items():
        log.warning("%s: %s", name, sentence)
    return debiasing, debiasing.correlations(*values["validation"])


def no_roots(debiasing: Debiasing, method: str) -> dict[str, str]:
    """Objective -> one sentence, where its correlation with a variable is not near zero on the reference set."""
    because = (
        "no value of the published grid brings it nearer, which holds no negative one; use debiasing.method = 'root'"
        if method == "published_grid"
        else "it steps over zero, as it can where few responses or few distinct ratings are; add reference sets"
    )
    return {
        name: f"its {debiasing.correlation} correlation with"
        f" {', with '.join(f'{variable} stays at {value:+.3f}' for variable, value in remaining.items())},"
        f" the closest to zero that was found: {because}"
        for name, remaining in debiasing.not_taken_out().items()
    }


def _values(
    variables: Sequence[str], rewards: NDArray[np.floating], objectives: Sequence[str], measured: Measured
) -> Matrix:
    """Variables (n, m) of responses with rewards (n, k)."""
    values = np.empty((len(rewards), len(variables)))
    for number, name in enumerate(variables):
        values[:, number] = measured.value(name) if name in MEASURED else rewards[:, objectives.index(name)]
    return values
