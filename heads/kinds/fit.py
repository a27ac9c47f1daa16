"""Fitting the heads of `[other_heads]` on stored features."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import key_column, unique_keys
from cache.progress import Progress, silent
from heads.kinds.kind import Arrays, Features, Ratings, SkippedError
from heads.kinds.layers import LayerChoice
from heads.kinds.registry import PAIRWISE, RATINGS
from heads.objectives import Objective
from heads.results import RatingMetrics, RatingsHead
from heads.ridge.subset import TRAIN, VALIDATION
from heads.settings import OtherHeadSettings
from heads.stored import gather_compact

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FittedPairwise:
    """A head that gives a response one score, and its score gaps on the validation pairs."""

    arrays: Arrays
    """Weights by name, as wide as the stored features."""
    gaps: NDArray[np.float64]
    """(v,) score of the chosen response minus that of the rejected one, for each validation pair."""
    train_pairs: int
    details: dict[str, float]
    """Figures that only this kind has."""
    seconds: float


@dataclass(frozen=True, slots=True)
class FittedRatings:
    """The heads of one kind, one for each objective that can have it."""

    heads: dict[str, RatingsHead] = field(default_factory=dict)
    """Objective -> metrics."""
    arrays: dict[str, Arrays] = field(default_factory=dict)
    """Objective -> weights by name, as wide as the stored features."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Objective that was not fitted -> reason."""


def fit_pairwise(
    settings: OtherHeadSettings, pairs: pl.DataFrame, store: FeatureStore, progress: Progress = silent
) -> dict[str, FittedPairwise]:
    """Fit the pairwise heads that the settings name.

    Args:
        settings: name the kinds and the layers they read.
        pairs: table of pairs: chosen_key, rejected_key, split.
        store: holds the features of the pairs' responses.
        progress: called with the work done.

    Returns:
        Kind -> head, in the settings' order.

    Raises:
        UserError: a split has no pairs, or a head's training does not converge with its settings.
    """
    names = [name for name in settings.fit if name in PAIRWISE]
    if not names:
        return {}
    choice = _choice(settings, store)
    keys, (chosen, rejected) = unique_keys(pairs["chosen_key"], pairs["rejected_key"])
    rows = np.stack([chosen, rejected], axis=-1)  # (n, 2)
    train, validation = (rows[(pairs["split"] == split).to_numpy()] for split in (TRAIN, VALIDATION))
    for split, part in (("training", train), ("validation", validation)):
        if not len(part):
            raise UserError(f"there are no {split} pairs: add a pair set, or change split.validation")
    features = gather_compact(store, keys, choice, progress)  # (m, c)
    fitted: dict[str, FittedPairwise] = {}
    for name in names:
        started = time.monotonic()
        kind = PAIRWISE[name]
        fit = kind.fit(features, train, validation, settings.of(name), progress)
        scores = kind.scores(features, fit.arrays)  # (m,)
        gaps = scores[validation[:, 0]] - scores[validation[:, 1]]  # (v,)
        arrays = fit.arrays | {kind.reads: choice.widen(fit.arrays[kind.reads])}
        fitted[name] = FittedPairwise(arrays, gaps, len(train), fit.details, time.monotonic() - started)
    return fitted


def fit_ratings(
    settings: OtherHeadSettings,
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    objectives: Sequence[Objective],
    ridge: Mapping[str, RatingMetrics],
    store: FeatureStore,
    progress: Progress = silent,
) -> dict[str, FittedRatings]:
    """Fit the heads that learn each objective from its ratings, of the kinds that the settings name.

    Objectives that are rated by the same data sets share one reading of the features.

    Args:
        settings: name the kinds and the layers they read.
        examples: table of rated responses: dataset, response_key, split.
        targets: (n, k) targets of its rows, NaN where not rated.
        objectives: the k objectives.
        ridge: objective -> metrics of its ridge head; objectives without one are not fitted here either.
        store: holds the features of the responses.
        progress: called with the number of heads done.

    Returns:
        Kind -> its heads, in the settings' order.
    """
    names = [name for name in settings.fit if name in RATINGS]
    fitted = {name: FittedRatings() for name in names}
    choice = _choice(settings, store)
    validation = (examples["split"] == VALIDATION).to_numpy()
    done = 0
    for datasets, numbers in _by_datasets(examples, targets, objectives, ridge).items() if names else ():
        rows = np.flatnonzero(
            examples["dataset"].is_in(datasets).to_numpy() & ~np.isnan(targets[:, numbers]).all(axis=-1)
        )
        rows = rows[np.argsort(validation[rows], kind="stable")]  # training rows first
        train_rows = int((~validation[rows]).sum())
        features = gather_compact(store, key_column(examples["response_key"][rows]), choice, progress)  # (n, c)
        for number in numbers:
            objective = objectives[number]
            for name in names:
                try:
                    head, arrays = _fit_one(
                        name, objective, features, targets[rows, number], train_rows, settings, ridge
                    )
                except SkippedError as reason:
                    log.warning("%s: the %s head is not fitted: %s", objective.name, name, reason)
                    fitted[name].skipped[objective.name] = str(reason)
                else:
                    reads = RATINGS[name].reads
                    fitted[name].arrays[objective.name] = arrays | {reads: choice.widen(arrays[reads])}
                    fitted[name].heads[objective.name] = head
                progress("fitting ratings", done := done + 1, len(ridge) * len(names), "objectives")
    return fitted


def _fit_one(
    name: str,
    objective: Objective,
    features: Features,
    targets: Ratings,
    train_rows: int,
    settings: OtherHeadSettings,
    ridge: Mapping[str, RatingMetrics],
) -> tuple[RatingsHead, Arrays]:
    """One objective's head, with arrays that read features (n, c).

    Raises:
        SkippedError: the objective cannot have a head of this kind.
    """
    started = time.monotonic()
    fit = RATINGS[name].fit(features, targets, train_rows, objective, settings.of(name))
    rated = ~np.isnan(targets[train_rows:])
    truth, predicted = targets[train_rows:][rated], fit.validation[rated]  # (v,) each
    constant = np.ptp(truth) == 0 or np.ptp(predicted) == 0
    head = RatingsHead(
        rows=int((~np.isnan(targets)).sum()),
        validation_rows=len(truth),
        validation_mse=float(np.mean((predicted - truth) ** 2)),
        pearson=float("nan") if constant else float(np.corrcoef(truth, predicted)[0, 1]),
        details=fit.details,
        ridge_validation_mse=ridge[objective.name].validation_mse,
        ridge_pearson=ridge[objective.name].pearson,
        seconds=time.monotonic() - started,
    )
    return head, fit.arrays


def _by_datasets(
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    objectives: Sequence[Objective],
    ridge: Mapping[str, RatingMetrics],
) -> dict[tuple[str, ...], list[int]]:
    """Data sets -> indices of the objectives that exactly they rate."""
    reading: dict[tuple[str, ...], list[int]] = {}
    for number, objective in enumerate(objectives):
        if objective.name in ridge:
            rated = examples.filter(pl.Series(~np.isnan(targets[:, number])))["dataset"].unique().sort()
            reading.setdefault(tuple(rated), []).append(number)
    return reading


def _choice(settings: OtherHeadSettings, store: FeatureStore) -> LayerChoice:
    return LayerChoice.of(list(store.fingerprint.layers), settings.layers, store.hidden_size)
