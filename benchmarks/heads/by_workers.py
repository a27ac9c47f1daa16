"""The statistics by one process and by several, and by a run that goes on after a worker was killed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.heads.comparison import difference, results_of
from benchmarks.heads.data import PATTERNS
from benchmarks.heads.process import start
from heads.ridge.files import FOLDER, load_statistics
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import LEARNED


def by_workers(folder: Path, rows: int, workers: int) -> Iterator[dict[str, Any]]:
    """One process and several, one after the other and each twice, then a killed run; with the results' differences.

    Yields:
        The figures so far, after each finished part.
    """
    figures: dict[str, Any] = {"rows": rows, "workers": workers, "ways": []}
    turns = ("saved", "workers", "workers", "saved")  # so that a machine that slows down favours neither
    for turn, way in enumerate(turns):
        figures["ways"].append(start(way, folder, rows, workers, solve=turn < len(turns) // 2))
        yield figures
    for way in ("killed", "resumed"):
        figures["ways"].append(start(way, folder, rows, workers, solve=False))
        yield figures
    one, several = results_of(folder, "saved"), results_of(folder, "workers")
    sums = [load_statistics(folder / way).statistics for way in ("saved", "workers")]
    figures |= {
        "same_alphas": bool((one["alphas"] == several["alphas"]).all()),
        "coefficients": difference(several["weights"], one["weights"]),
        "sums": max(_difference_of_sums(*sums, objective) for objective in np.cumsum([0, *PATTERNS[:-1]])),
        "resumed_the_same_to_the_bit": _digests(folder / "workers") == _digests(folder / "killed"),
    }
    yield figures


def _digests(folder: Path) -> dict[str, str]:
    """File -> digest of its content."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / FOLDER).iterdir()}


def _difference_of_sums(one: GramStatistics, other: GramStatistics, objective: int) -> float:
    """Largest difference of an entry of x x', over the geometric mean of the two diagonal entries beside it."""
    first, second = (each.subset(objective, LEARNED).xx() for each in (one, other))  # (d, d)
    scale = np.sqrt(first.diagonal())
    return float((np.abs(first - second) / np.outer(scale, scale)).max())
