"""Units of a suite, whose outcomes its figures are means of, and sums of outcomes: of all units, and of draws."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import RESAMPLES

DRAWS_AT_ONCE = 1 << 21
"""Number of random numbers drawn at a time, so that they fit the processor's cache."""

Figure = NDArray[np.float64]
"""Shape (rules,), or (draws, rules)."""


@dataclass(frozen=True, slots=True)
class Units:
    """The outcomes of a suite's rows under several rules."""

    subsets: tuple[str, ...]
    subset: NDArray[np.int64]
    """(units,) index of each unit's subset."""
    values: NDArray[np.float64]
    """(units, cells, rules) outcomes; NaN, for all rules alike, where a unit has no such cell."""
    cluster: NDArray[np.int64]
    """(units,) cluster of each unit; units of a cluster share a prompt and are drawn together."""
    stratum: NDArray[np.int64]
    """(units,) stratum of each unit; a draw takes as many clusters from a stratum as it has."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of outcomes by subset, from which every figure of a suite's table is made."""

    subsets: tuple[str, ...]
    sums: NDArray[np.float64]
    """(subsets, cells, rules), or (draws, subsets, cells, rules)."""
    counts: NDArray[np.float64]
    """(subsets, cells, 1), or (draws, subsets, cells, 1): number of units that have the cell."""

    def pooled(self, subsets: Iterable[str], cell: int | None = 0) -> Figure:
        """The mean over all units of several subsets; over all cells where `cell` is None.

        NaN where no unit has the cell.
        """
        at = [self.subsets.index(subset) for subset in subsets if subset in self.subsets]
        cells = slice(None) if cell is None else slice(cell, cell + 1)
        sums = self.sums[..., at, cells, :].sum(axis=(-3, -2))  # (..., rules)
        counts = self.counts[..., at, cells, :].sum(axis=(-3, -2))  # (..., 1)
        with np.errstate(invalid="ignore"):
            return sums / counts

    def mean(self, subset: str, cell: int | None = 0) -> Figure:
        """The mean over a subset's units."""
        return self.pooled((subset,), cell)


def totals(units: Units) -> Totals:
    """Sums over all units."""
    present = ~np.isnan(units.values[..., 0])  # (units, cells)
    shape = (len(units.subsets), *units.values.shape[1:])
    sums, counts = np.zeros(shape), np.zeros((*shape[:2], 1))
    np.add.at(sums, units.subset, np.nan_to_num(units.values))
    np.add.at(counts, units.subset, present[..., None].astype(np.float64))
    return Totals(units.subsets, sums, counts)


def resampled(units: Units, resamples: int = RESAMPLES, seed: int = 0) -> Totals:
    """Sums over clusters drawn with replacement inside their strata, the same draws for all rules.

    Args:
        units: the outcomes.
        resamples: number of draws.
        seed: seed of the draws.
    """
    random = np.random.default_rng(seed)
    cells, rules = units.values.shape[1:]
    sums = np.zeros((resamples, len(units.subsets), cells, rules))
    counts = np.zeros((resamples, len(units.subsets), cells, 1))
    # float32 is exact for counts, and enough for the ends of an interval.
    values = np.nan_to_num(units.values).astype(np.float32).reshape(len(units.values), -1)  # (units, cells * rules)
    present = (~np.isnan(units.values[..., 0])).astype(np.float32)  # (units, cells)
    both = np.concatenate([values, present], axis=-1)  # (units, cells * rules + cells)
    for members in _groups(units.stratum):
        cluster = np.unique(units.cluster[members], return_inverse=True)[1]  # (members,)
        clusters = int(cluster.max()) + 1
        parts = [(units.subset[members[part[0]]], part) for part in _groups(units.subset[members])]
        # Sums by cluster, one line for each cluster that has members in the part.
        lines = [_by_cluster(cluster[part], both[members[part]]) for _, part in parts]
        at_once = max(1, DRAWS_AT_ONCE // clusters)
        for start in range(0, resamples, at_once):
            draws = slice(start, min(start + at_once, resamples))
            times = _multiplicities(random, draws.stop - start, clusters)  # (draws, clusters)
            for (subset, _), (occurring, summed) in zip(parts, lines, strict=True):
                multiplicities = times if len(occurring) == clusters else times[:, occurring]
                drawn = multiplicities @ summed  # (draws, cells * rules + cells)
                sums[draws, subset] += drawn[:, : cells * rules].reshape(-1, cells, rules)
                counts[draws, subset, :, 0] += drawn[:, cells * rules :]
    return Totals(units.subsets, sums, counts)


def _groups(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The positions of each label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _by_cluster(
    cluster: NDArray[np.int64], values: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The clusters that occur, and the sums of their values."""
    distinct, place = np.unique(cluster, return_inverse=True)
    summed = np.zeros((len(distinct), values.shape[-1]), dtype=np.float32)
    np.add.at(summed, place, values)
    return distinct, summed


def _multiplicities(random: np.random.Generator, draws: int, clusters: int) -> NDArray[np.float32]:
    """Number of times that each cluster is drawn. Shape (draws, clusters)."""
    drawn = random.integers(clusters, size=(draws, clusters))  # (draws, clusters)
    drawn += np.arange(draws)[:, None] * clusters
    times = np.bincount(drawn.reshape(-1), minlength=draws * clusters)
    return times.astype(np.float32).reshape(draws, clusters)
