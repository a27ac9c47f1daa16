"""The heads that a recipe can have beside the ridge: how each is fitted, and how it is applied.

To add one: a module beside this one, its settings in `heads.settings`, and its line in a table below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import UserError
from cache.progress import Progress
from heads.kinds.bradley_terry import choose_strength
from heads.kinds.mlp import MlpHead, mlp_scores
from heads.kinds.ordinal import OrdinalHead, choose_penalty
from heads.kinds.slic import SlicHead
from heads.settings import OtherHeadSettings

Arrays = dict[str, NDArray[Any]]
Features = NDArray[np.floating[Any]]
"""(m, d) float16 or float32, one row a response."""

Pairs = NDArray[np.int64]
"""(n, 2) rows of features: the chosen response, the rejected one."""


@dataclass(frozen=True, slots=True)
class PairwiseKind:
    """A head that gives a response one score, learned from pairs."""

    title: str
    """What tables call it."""
    method: str
    """What it is known as."""
    fit: Callable[[Features, Pairs, Pairs, OtherHeadSettings, Progress], tuple[Arrays, dict[str, Any]]]
    """(features, training pairs, validation pairs, …) -> weights, and what a report says about the fit."""
    scores: Callable[[Features, Arrays], NDArray[np.float64]]
    """(features, weights) -> (m,)"""
    reads: str
    """Which of the arrays reads the features; its last axis is theirs."""


def _fit_slic(
    features: Features, train: Pairs, validation: Pairs, settings: OtherHeadSettings, progress: Progress
) -> tuple[Arrays, dict[str, Any]]:
    progress("fitting the SLiC head", 0, 1, "heads")
    head, _ = choose_strength(
        _differences(features, train), _differences(features, validation), settings.slic.strengths, SlicHead
    )
    progress("fitting the SLiC head", 1, 1, "heads")
    return {"weight": head.coef_.astype(np.float32)}, {"strength": head.strength, "steps": head.n_iter_}


def _slic_scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return (features.astype(np.float32, copy=False) @ arrays["weight"]).astype(np.float64)


def _fit_mlp(
    features: Features, train: Pairs, validation: Pairs, settings: OtherHeadSettings, progress: Progress
) -> tuple[Arrays, dict[str, Any]]:
    try:
        head = MlpHead(**settings.mlp.model_dump()).fit(features, train, validation, progress)
    except FloatingPointError as error:
        raise UserError(f"{error}: lower other_heads.mlp.learning_rate") from None
    arrays = {
        "hidden_weight": head.hidden_weight_,
        "hidden_bias": head.hidden_bias_,
        "output_weight": head.output_weight_,
    }
    return arrays, {"best_step": head.n_iter_, "validation_loss": head.validation_loss_}


def _mlp_scores(features: Features, arrays: Arrays) -> NDArray[np.float64]:
    return mlp_scores(features, arrays["hidden_weight"], arrays["hidden_bias"], arrays["output_weight"])


PAIRWISE: dict[str, PairwiseKind] = {
    "slic": PairwiseKind("same features, hinge on the margin", "SLiC-HF loss", _fit_slic, _slic_scores, "weight"),
    "mlp": PairwiseKind("same features, two-layer head", "Bradley-Terry", _fit_mlp, _mlp_scores, "hidden_weight"),
}


@dataclass(frozen=True, slots=True)
class FittedRatings:
    """A head of one objective, and how well its first fit did on the validation rows."""

    arrays: Arrays
    """`weight` (d,), and what turns scores into ratings."""
    predicted: NDArray[np.float64]
    """Of the validation rows, by the head fitted on the training rows alone; NaN where not rated."""
    report: dict[str, Any]


Levels = NDArray[np.float64]
"""(n,) ratings on levels between 0 and 1, NaN where not rated."""


def _fit_ordinal(features: Features, levels: Levels, train_rows: int, settings: OtherHeadSettings) -> FittedRatings:
    rated = train_rows + np.flatnonzero(~np.isnan(levels[train_rows:]))  # (v,)
    chosen, loss = choose_penalty(
        (features[:train_rows], levels[:train_rows]), (features[rated], levels[rated]), settings.ordinal.alphas
    )
    predicted = np.full(len(levels) - train_rows, np.nan)
    predicted[rated - train_rows] = chosen.predict(features[rated])
    final = OrdinalHead(chosen.alpha).fit(features, levels)
    arrays: Arrays = {
        "weight": final.coef_.astype(np.float32),
        "thresholds": final.thresholds_,
        "levels": final.classes_,
    }
    report = {"alpha": chosen.alpha, "levels": len(final.classes_), "validation_log_loss": loss}
    return FittedRatings(arrays, predicted, report)


RATINGS: dict[str, Callable[[Features, Levels, int, OtherHeadSettings], FittedRatings]] = {"ordinal": _fit_ordinal}
"""(features, levels, number of training rows, which come first, …) -> the head fitted on all rows with what the
validation rows chose, as the ridge's is."""


def _differences(features: Features, pairs: Pairs) -> NDArray[np.float32]:
    """Chosen less rejected. Shape (n, d)."""
    differences: NDArray[np.float32] = features[pairs[:, 0]].astype(np.float32)
    differences -= features[pairs[:, 1]]
    return differences
