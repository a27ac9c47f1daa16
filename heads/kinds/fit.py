"""Fitting the heads of `[other_heads]` on stored features."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import key_column, unique_keys
from cache.progress import Progress, silent
from heads.kinds.judged import RIDGE_RESIDUALS, judged, ridge_distributions
from heads.kinds.kind import Arrays, Division, RatingsFit, SkippedError
from heads.kinds.layers import LayerChoice
from heads.kinds.registry import PAIRWISE, RATINGS
from heads.objectives import Objective
from heads.pairs.margin_weights import margin_weight, refuse_without_margins
from heads.results import DistributionMetrics, RatingMetrics, RatingsHead
from heads.ridge.subset import TRAIN, VALIDATION
from heads.settings import OtherHeadSettings
from heads.stored import gather_compact, predict_stored
from heads.validation_halves import in_calibration_half

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
    distributions: dict[str, DistributionMetrics] = field(default_factory=dict)
    """Objective -> metrics of the predicted distributions."""


@dataclass(frozen=True, slots=True)
class RidgeHeads:
    """The ridge heads, with which others are compared."""

    metrics: Mapping[str, RatingMetrics]
    """Objective -> metrics; objectives that are not named have no head."""
    train_weight: NDArray[np.float32]
    """(fitted, layers * hidden_size) heads of the training rows alone, in the order of `metrics`."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that some data sets rate: training rows, then those to choose by, then those that only judge."""

    numbers: NDArray[np.int64]
    """(n,) rows of the table."""
    division: Division
    prompts: NDArray[np.int64]
    """(n,) number of each row's prompt."""
    ridge: NDArray[np.float64]
    """(v, fitted) the ridge's rewards of the validation rows."""

    @property
    def judging(self) -> slice:
        """Those among the validation rows that only judge."""
        return slice(self.division.chosen - self.division.train, None)


def fit_pairwise(
    settings: OtherHeadSettings,
    pairs: pl.DataFrame,
    weighted: Collection[str],
    store: FeatureStore,
    progress: Progress = silent,
) -> dict[str, FittedPairwise]:
    """Fit the pairwise heads that the settings name.

    Args:
        settings: name the kinds and the layers they read.
        pairs: table of pairs: dataset, chosen_key, rejected_key, margin, split.
        weighted: names of the sets whose training pairs count by their margin; one of margin 0 then counts nothing.
        store: holds the features of the pairs' responses.
        progress: called with the work done.

    Returns:
        Kind -> head, in the settings' order.

    Raises:
        UserError: a split has no pairs, a set that is to count by margins has none, or a head's training does not
            converge with its settings.
    """
    names = [name for name in settings.fit if name in PAIRWISE]
    if not names:
        return {}
    refuse_without_margins(pairs, weighted)
    if weighted:
        counted = pairs.with_columns(weight=margin_weight(weighted, tied=pl.lit(False)))
        pairs = counted.filter((pl.col("weight") > 0) | (pl.col("split") != TRAIN))
    choice = _choice(settings, store)
    keys, (chosen, rejected) = unique_keys(pairs["chosen_key"], pairs["rejected_key"])
    rows = np.stack([chosen, rejected], axis=-1)  # (n, 2)
    train, validation = (rows[(pairs["split"] == split).to_numpy()] for split in (TRAIN, VALIDATION))
    for split, part in (("training", train), ("validation", validation)):
        if not len(part):
            raise UserError(f"there are no {split} pairs: add a pair set, or change split.validation")
    weight = pairs.filter(pl.col("split") == TRAIN)["weight"].to_numpy() if weighted else None  # (n,)
    features = gather_compact(store, keys, choice, progress)  # (m, c)
    fitted: dict[str, FittedPairwise] = {}
    for name in names:
        started = time.monotonic()
        kind = PAIRWISE[name]
        fit = kind.fit(features, train, validation, settings.of(name), progress, weight)
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
    ridge: RidgeHeads,
    store: FeatureStore,
    seed: int,
    progress: Progress = silent,
) -> dict[str, FittedRatings]:
    """Fit the heads that learn each objective from its ratings, of the kinds that the settings name.

    Objectives that are rated by the same data sets share one reading of the features, and what a kind prepares of them.
    Penalties are chosen on one half of the validation rows; distributions are judged on the other.

    Args:
        settings: name the kinds and the layers they read.
        examples: table of rated responses: dataset, prompt_key, response_key, split.
        targets: (n, k) targets of its rows, NaN where not rated.
        objectives: the k objectives.
        ridge: the ridge heads; objectives without one are not fitted here either.
        store: holds the features of the responses.
        seed: of the division of the validation rows.
        progress: called with the number of heads done.

    Returns:
        Kind -> its heads, in the settings' order; and the ridge's names of `heads.kinds.judged` -> its distributions'
        metrics, without heads.
    """
    names = [name for name in settings.fit if name in RATINGS]
    fitted = {name: FittedRatings() for name in names}
    choice = _choice(settings, store)
    fitted_names = list(ridge.metrics)
    done = 0
    for datasets, numbers in _by_datasets(examples, targets, objectives, ridge.metrics).items() if names else ():
        rows = _rows(examples, targets[:, numbers], datasets, ridge, store, seed)
        train = rows.division.train
        features = gather_compact(store, key_column(examples["response_key"][rows.numbers]), choice, progress)  # (n, c)
        fits: dict[str, dict[str, RatingsFit]] = {objectives[number].name: {} for number in numbers}
        for name in names:
            prepared = RATINGS[name].prepare(features, train, settings.of(name))
            for number in numbers:
                objective, started = objectives[number], time.monotonic()
                own = targets[rows.numbers, number]  # (n,)
                try:
                    fit = RATINGS[name].fit(prepared, own, rows.division, objective, settings.of(name))
                except SkippedError as reason:
                    log.warning("%s: the %s head is not fitted: %s", objective.name, name, reason)
                    fitted[name].skipped[objective.name] = str(reason)
                else:
                    reads = RATINGS[name].reads
                    fits[objective.name][name] = fit
                    fitted[name].arrays[objective.name] = fit.arrays | {reads: choice.widen(fit.arrays[reads])}
                    head = _head(fit, own, train, ridge.metrics[objective.name], time.monotonic() - started)
                    fitted[name].heads[objective.name] = head
                progress("fitting ratings", done := done + 1, len(fitted_names) * len(names), "objectives")
        for number in numbers:
            objective = objectives[number]
            predicted = rows.ridge[:, fitted_names.index(objective.name)]  # (v,)
            found = _distributions(rows, targets[rows.numbers[train:], number], predicted, fits[objective.name])
            for name, metrics in found.items():
                fitted.setdefault(name, FittedRatings()).distributions[objective.name] = metrics
    return fitted


def _rows(
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    datasets: Sequence[str],
    ridge: RidgeHeads,
    store: FeatureStore,
    seed: int,
) -> _Rows:
    """The rows of some data sets with any of the targets (n, c)."""
    rated = examples["dataset"].is_in(datasets).to_numpy() & ~np.isnan(targets).all(axis=-1)
    numbers = np.flatnonzero(rated)
    validation = (examples["split"][numbers] == VALIDATION).to_numpy()
    judges = validation & ~in_calibration_half(examples["prompt_key"][numbers], seed)
    use = validation.astype(np.int64) + judges  # (n,) 0 to learn from, 1 to choose by, 2 only to judge
    numbers = numbers[np.argsort(use, kind="stable")]
    division = Division(int((use == 0).sum()), int((use <= 1).sum()))
    later = key_column(examples["response_key"][numbers[division.train :]])
    prompts = examples["prompt_key"][numbers].rank("dense").to_numpy().astype(np.int64)
    return _Rows(numbers, division, prompts, predict_stored(store, later, ridge.train_weight))


def _distributions(
    rows: _Rows, targets: NDArray[np.float64], predicted: NDArray[np.float64], fits: Mapping[str, RatingsFit]
) -> dict[str, DistributionMetrics]:
    """Kind -> metrics on the rows that only judge, from validation targets (v,) and the ridge's predictions (v,)."""
    rated = ~np.isnan(targets)
    choosing, judging = rated.copy(), rated.copy()
    choosing[rows.judging] = False
    judging[: rows.judging.start] = False
    found = ridge_distributions(predicted[judging], (targets - predicted)[choosing])
    if not judging.any() or RIDGE_RESIDUALS not in found:
        return {}
    found |= {name: fit.distribution.take(judging) for name, fit in fits.items()}
    return judged(found, targets[judging], rows.prompts[rows.division.train :][judging])


def _head(
    fit: RatingsFit, targets: NDArray[np.float64], train_rows: int, ridge: RatingMetrics, seconds: float
) -> RatingsHead:
    """The figures of one objective's head."""
    rated = ~np.isnan(targets[train_rows:])
    truth, predicted = targets[train_rows:][rated], fit.validation[rated]  # (v,) each
    constant = np.ptp(truth) == 0 or np.ptp(predicted) == 0
    return RatingsHead(
        rows=int((~np.isnan(targets)).sum()),
        validation_rows=len(truth),
        validation_mse=float(np.mean((predicted - truth) ** 2)),
        pearson=float("nan") if constant else float(np.corrcoef(truth, predicted)[0, 1]),
        details=fit.details,
        ridge_validation_mse=ridge.validation_mse,
        ridge_pearson=ridge.pearson,
        seconds=seconds,
    )


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
