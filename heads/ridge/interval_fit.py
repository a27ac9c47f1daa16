"""Conformal intervals of fitted heads: calibrated on half of the validation rows, judged on the other half."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import key_column
from cache.progress import Progress, silent
from heads.objectives import Objective
from heads.results import Covered, IntervalMetrics, ObjectiveInterval
from heads.ridge.conformal import ConformalIntervals, conformal_intervals, fewest_rows
from heads.ridge.subset import VALIDATION
from heads.ridge.uncertainty import Uncertainty
from heads.validation_halves import in_calibration_half

MOST_ROWS = 4096
"""Validation rows of each rating set, at most: half of them set the coverage to within 0.7 points (one standard
deviation, sqrt(0.9 · 0.1 / 2048))."""


@dataclass(frozen=True, slots=True)
class FittedIntervals:
    """Intervals, and what they contain of held-out ratings."""

    intervals: ConformalIntervals
    metrics: dict[str, ObjectiveInterval]
    """Objective -> metrics."""


@dataclass(frozen=True, slots=True, eq=False)
class _HeldOut:
    """Held-out rows as heads of the training rows see them."""

    residuals: NDArray[np.float64]
    """(n, k), NaN where not rated."""
    leverages: NDArray[np.float64] | None
    """(n, f)"""
    unfamiliar: NDArray[np.bool_] | None
    """(n,)"""
    datasets: NDArray[np.object_]
    """(n,)"""
    calibrates: NDArray[np.bool_]
    """(n,) whether a row is in the half that calibrates."""


def fit_intervals(
    train_weight: NDArray[np.float32],
    objectives: Sequence[Objective],
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    uncertainty: Uncertainty | None,
    store: FeatureStore,
    coverage: float,
    seed: int,
    progress: Progress = silent,
) -> FittedIntervals:
    """Calibrate the intervals of all objectives, and judge them.

    Args:
        train_weight: (k, layers * d) heads that were fitted on the training rows alone.
        objectives: the k objectives of the heads.
        examples: table of rated responses: dataset, prompt_key, response_key, split.
        targets: (n, k) targets of its rows, NaN where not rated.
        uncertainty: of the same heads, with its thresholds set; None: intervals do not depend on leverage.
        store: holds the features of the responses.
        coverage: asked fraction.
        seed: of the sample and of the division of the rows.
        progress: called with the number of rows read.
    """
    rows = _sample(examples, seed)
    some = examples[rows]
    keys = key_column(some["response_key"])
    rewards = np.empty((len(rows), len(train_weight)))  # (n, k)
    leverages = None if uncertainty is None else np.empty((len(rows), len(uncertainty.whitening)))  # (n, f)
    done = 0
    for positions, features in store.stream(keys):
        flat = features.reshape(len(features), -1)  # (b, layers * d)
        rewards[positions] = flat @ train_weight.T
        if uncertainty is not None and leverages is not None:
            leverages[positions] = uncertainty.leverages(flat)
        done += len(positions)
        progress("calibrating intervals", done, len(rows), "rows")
    unfamiliar = None if uncertainty is None or leverages is None else uncertainty.unfamiliar(leverages)
    held_out = _HeldOut(
        targets[rows] - rewards,
        leverages,
        unfamiliar,
        some["dataset"].to_numpy(),
        in_calibration_half(some["prompt_key"], seed),
    )
    factor_of = None if uncertainty is None else uncertainty.factor_of
    everywhere = np.ones(len(rows), dtype=np.bool_)
    pooled = _intervals(held_out, everywhere, coverage, factor_of)
    of_set = {
        name: _intervals(held_out, held_out.datasets == name, coverage, factor_of)
        for name in sorted(set(held_out.datasets))
    }
    metrics = {}
    for number, objective in enumerate(objectives):
        rated = ~np.isnan(held_out.residuals[:, number])
        metrics[objective.name] = ObjectiveInterval(
            asked=coverage,
            all_sets=_judged(held_out, everywhere, number, objective, pooled),
            by_set={
                name: _judged(held_out, held_out.datasets == name, number, objective, intervals)
                for name, intervals in of_set.items()
                if (rated & (held_out.datasets == name)).any()
            },
        )
    return FittedIntervals(pooled, metrics)


def _sample(examples: pl.DataFrame, seed: int) -> NDArray[np.int64]:
    """Numbers of the validation rows to read, rising."""
    rng = np.random.default_rng(abs(seed))
    validation, datasets = (examples["split"] == VALIDATION).to_numpy(), examples["dataset"].to_numpy()
    chosen: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    for name in sorted(set(datasets[validation])):
        of_set = np.flatnonzero(validation & (datasets == name))
        chosen.append(rng.choice(of_set, min(len(of_set), MOST_ROWS), replace=False))
    return np.sort(np.concatenate(chosen))


def _intervals(
    held_out: _HeldOut, among: NDArray[np.bool_], coverage: float, factor_of: NDArray[np.int64] | None
) -> ConformalIntervals:
    rows = held_out.calibrates & among
    leverages = None if held_out.leverages is None else held_out.leverages[rows]
    return conformal_intervals(held_out.residuals[rows], coverage, leverages, factor_of)


def _judged(
    held_out: _HeldOut, among: NDArray[np.bool_], number: int, objective: Objective, intervals: ConformalIntervals
) -> IntervalMetrics:
    own = held_out.residuals[:, number]  # (n,)
    rated = among & ~np.isnan(own)
    check = rated & ~held_out.calibrates
    calibration_rows = int((rated & held_out.calibrates).sum())
    leverages = None if held_out.leverages is None else held_out.leverages[check]
    centred = np.zeros((int(check.sum()), held_out.residuals.shape[-1]))
    half = intervals.interval(centred, leverages)[:, number, 1]  # (c,)
    if np.isnan(half).any() or not check.any():
        few = fewest_rows(intervals.coverage)
        reason = (
            f"{calibration_rows} calibration rows, and {few} are needed"
            if calibration_rows < few
            else "no row is left to judge it on"
        )
        return IntervalMetrics(None, calibration_rows, Covered(int(check.sum()), None), None, None, reason)
    inside = np.abs(own[check]) <= half
    familiar = unfamiliar = None
    if held_out.unfamiliar is not None:
        unlike = held_out.unfamiliar[check]
        familiar, unfamiliar = _covered(inside[~unlike]), _covered(inside[unlike])
    unit = np.diff(objective.raw(np.array([0.0, 1.0])))[0]
    width = float(np.median(half) * unit)
    return IntervalMetrics(width, calibration_rows, _covered(inside), familiar, unfamiliar, None)


def _covered(inside: NDArray[np.bool_]) -> Covered:
    return Covered(len(inside), float(inside.mean()) if len(inside) else None)
