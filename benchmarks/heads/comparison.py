"""The ways by turns over the same rows, and the differences of their results."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.heads.process import start

Results = dict[str, NDArray[np.float64]]
"""'path' (a, k) validation losses, 'best' (k,), 'alphas' (k,), 'weights' (k, d)."""


def side_by_side(folder: Path, rows: int, rounds: int, authors_rows: int) -> Iterator[dict[str, Any]]:
    """All ways over the same rows: ours and the normal equations by turns, the authors' way once.

    Args:
        folder: holds the store.
        rows: number of rated responses.
        rounds: number of turns.
        authors_rows: rows for the authors' way; 0: it is left out.

    Yields:
        The figures so far, after each finished part.
    """
    figures: dict[str, Any] = {"rows": rows, "ways": []}
    for _ in range(rounds):
        for way in ("normal_equations", "ours"):
            figures["ways"].append(start(way, folder, rows))
            yield figures
    if authors_rows:
        figures["ways"].append(start("authors", folder, authors_rows))
        yield figures
    start("exact", folder, rows)
    ways = ("normal_equations", "ours", *(("authors",) if authors_rows == rows else ()))
    results = {way: results_of(folder, way) for way in ways}
    exact = results_of(folder, "exact")["weights"]
    figures["agreement"] = {
        way: agreement(found, results["ours"]) | {"coefficients_from_float64": difference(found["weights"], exact)}
        for way, found in results.items()
    }
    yield figures


def full_size(folder: Path, sizes: Sequence[int], workers: int) -> Iterator[dict[str, Any]]:
    """The normal equations and ours, by one process and by several, by turns at several sizes of one store.

    Yields:
        The figures so far, after each finished part.
    """
    figures: dict[str, Any] = {"workers": workers, "ways": [], "agreement": []}
    for rows in sizes:
        for way in ("normal_equations", "saved", "workers"):
            figures["ways"].append(start(way, folder, rows, workers))
            yield figures
        theirs, ours = results_of(folder, "normal_equations"), results_of(folder, "saved")
        apart = difference(theirs["weights"], ours["weights"])
        figures["agreement"].append({"rows": rows, **agreement(theirs, ours), "coefficients": apart})
        yield figures


def results_of(folder: Path, way: str) -> Results:
    """The results that a way saved."""
    with np.load(folder / f"{way}.npz") as arrays:
        return dict(arrays)


def agreement(found: Results, ours: Results) -> dict[str, Any]:
    """Whether a way chose the alphas that ours did, and the relative differences of validation losses."""
    return {
        "same_alphas": bool((found["alphas"] == ours["alphas"]).all()),
        "validation_loss_at_the_choice": float(np.max(np.abs(found["best"] / ours["best"] - 1))),
        "validation_loss_anywhere": float(np.nanmax(np.abs(found["path"] / ours["path"] - 1))),
    }


def difference(weights: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Largest norm of the difference of a head (k, d), over the norm of the other."""
    size = np.linalg.norm(others, axis=-1)  # (k,)
    return float((np.linalg.norm(weights - others, axis=-1) / size).max())
