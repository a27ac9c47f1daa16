"""The heads and their ablations as the tables of a report."""

from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.report.inputs import ReportInputs
from heads.results import DistributionMetrics, IntervalMetrics

WORSE = 0.25
"""A validation error this much above the lowest has the lightest cell of the heat map of penalties."""


@dataclass(frozen=True, slots=True)
class PenaltyCell:
    """The validation error at one penalty."""

    mse: float | None
    selected: bool
    closeness: float
    """Darkness of the cell: 1 at the objective's lowest error, 0 at `WORSE` above it."""


@dataclass(frozen=True, slots=True)
class PenaltyRow:
    """The validation errors of one objective, in the order of the penalties."""

    objective: str
    cells: tuple[PenaltyCell, ...]


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """The conformal interval of one objective's ratings, calibrated on the rows of one data set or of all."""

    objective: str
    dataset: str
    """Empty where the rows of all data sets calibrated it."""
    interval: IntervalMetrics


@dataclass(frozen=True, slots=True)
class DistributionRow:
    """Distributions of one objective's ratings, by kind of head."""

    objective: str
    rows: int
    kinds: tuple[DistributionMetrics | None, ...]
    """In the order of `OtherHeads.distributions`; None where a kind has no head."""


@dataclass(frozen=True, slots=True)
class AblatedRow:
    """Correlations of one objective's predictions with its validation ratings."""

    objective: str
    rows: int
    """Training rows."""
    curve: tuple[float | None, ...]
    """With a fraction of the training rows, one for each fraction."""
    all: float | None
    """With all training rows."""
    others: float | None
    """By the heads of all other objectives, best combined."""


def penalties(run: ReportInputs) -> list[PenaltyRow]:
    """Validation error by objective and penalty; objectives whose penalty was chosen in another way have no row."""
    if run.heads is None:
        return []
    rows = []
    for name, head in run.heads.objectives.items():
        path = head.validation_path
        defined = [error for error in path if error is not None]
        if len(path) != len(run.heads.alphas) or not defined:
            continue
        lowest = min(defined)
        cells = tuple(
            PenaltyCell(
                mse=error,
                selected=alpha == head.alpha,
                closeness=0.0 if error is None else max(0.0, 1 - (error / max(lowest, 1e-12) - 1) / WORSE),
            )
            for alpha, error in zip(run.heads.alphas, path, strict=True)
        )
        rows.append(PenaltyRow(name, cells))
    return rows


def intervals(run: ReportInputs) -> list[IntervalRow]:
    """The intervals that scores are given, and below each those of single data sets where there are several."""
    if run.heads is None:
        return []
    rows = []
    for name, head in run.heads.objectives.items():
        if head.interval is None:
            continue
        rows.append(IntervalRow(name, "", head.interval.all_sets))
        if len(head.interval.by_set) > 1:
            rows += [IntervalRow(name, dataset, found) for dataset, found in head.interval.by_set.items()]
    return rows


def distributions(run: ReportInputs) -> list[DistributionRow]:
    """Each objective's distributions, on the held-out rows that chose nothing."""
    if run.other_heads is None:
        return []
    kinds = run.other_heads.distributions
    rows = []
    for objective in dict.fromkeys(name for metrics in kinds.values() for name in metrics):
        each = tuple(metrics.get(objective) for metrics in kinds.values())
        judged = next(found.rows for found in each if found is not None)
        rows.append(DistributionRow(objective, judged, each))
    return rows


def fractions(run: ReportInputs) -> list[float]:
    """The fractions of the training rows that heads were fitted on, the smallest first."""
    if run.ablations is None:
        return []
    return sorted({point.fraction for curve in run.ablations.rows.values() for point in curve})


def ablated(run: ReportInputs) -> Iterator[AblatedRow]:
    """Each objective's correlation with fewer rows, and by the heads of all others."""
    if run.ablations is None:
        return
    for name, head in run.ablations.baseline.items():
        curve = {point.fraction: point.pearson for point in run.ablations.rows.get(name, ())}
        others = run.ablations.objectives.get(name)
        yield AblatedRow(
            objective=name,
            rows=run.ablations.train_rows[name],
            curve=tuple(map(curve.get, fractions(run))),
            all=head.pearson,
            others=others.pearson if others else None,
        )
