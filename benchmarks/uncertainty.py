"""Time, size and accuracy of standard errors at the width of a real backbone, beside exact leverages.

    python -m benchmarks.uncertainty --json benchmarks/uncertainty.json
    python -m benchmarks.uncertainty --quick

Nineteen objectives in seven rating patterns, as the published ones, so seven factors. Rows have a falling spectrum, an
own lean of each data set, a common mean and lengths that vary; rows of another data set and rows that are no text's
(as long, in all directions alike) stand for what the ratings do not cover. Every time is the median of several, taken
in turns with a plain product of float32 matrices, whose speed says how idle the machine was.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import spearmanr

from benchmarks.conditions import Conditions
from heads.ridge.cholesky import Factor
from heads.ridge.symmetric import packed, packed_length, unpacked
from heads.ridge.uncertainty import PERCENTILES, Uncertainty, squared_lengths
from heads.ridge.whitening import rows_of, whitening

WIDTHS = (1024, 2048, 4096)
FACTORS, OBJECTIVES, BATCH, REPEATS = 7, 19, 1024, 7
ACCURACY_WIDTH, NEW_ROWS = 4096, 300
TRAIN_ROWS_A_COLUMN = 3
"""Training rows, as a multiple of the columns."""
QUICK_WIDTHS, QUICK_ACCURACY_WIDTH = (512, 1024), 1536
"""Widths with --quick; wider than the widest whose matrices are whole and not sketches."""
POWERS, PENALTIES = (1.0, 2.0), (1e-3, 1.0)
"""Exponents of the spectra; penalties relative to the mean eigenvalue."""

Rows = NDArray[np.float32]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--width", type=int, help="width at which accuracy is measured")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    conditions = Conditions()
    widths, width = (QUICK_WIDTHS, QUICK_ACCURACY_WIDTH) if arguments.quick else (WIDTHS, ACCURACY_WIDTH)
    report: dict[str, Any] = {"speed": [], "accuracy": []}
    for columns in widths:
        report["speed"].append(speed(columns))
        conditions.write(arguments.json, report)
    report["accuracy"] = accuracy(arguments.width or width)
    conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    lines = [
        f"{BATCH:,} responses, {OBJECTIVES} objectives, {FACTORS} factors:\n",
        "| columns | leverages | exactly, by triangular solves | ratio | plain product | stored | packed factors |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['width']:,} | {each['seconds']:.3f} s | {each['exact_seconds']:.3f} s |"
        f" {each['exact_seconds'] / each['seconds']:.1f} | {each['gflops']:.0f} GFLOP/s |"
        f" {each['bytes'] / 1e6:.1f} MB | {each['packed_bytes'] / 1e6:.1f} MB |"
        for each in report["speed"]
    ]
    if report["accuracy"]:
        head = (
            *("spectrum", "penalty", "rows", "leverage", "said : exact", "spread", "of the standard error"),
            *("rank correlation", "place off by", "unfamiliar", "exactly"),
        )
        lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        f"| {each['power']:g} | {each['penalty']:g} | {each['rows']} | {each['leverage']:.4f} |"
        f" {each['mean_ratio']:.3f} | {each['spread']:.3f} | {each['error_spread']:.3f} |"
        f" {each['rank_correlation']:.3f} | {each['place']:.3f} | {each['unfamiliar']:.1%} |"
        f" {each['unfamiliar_exactly']:.1%} |"
        for each in report["accuracy"]
    ]
    return "\n".join(lines) + "\n"


def speed(width: int) -> dict[str, Any]:
    """Seconds of a batch's leverages, of exact ones, and the speed of a plain product at that time."""
    rng = np.random.default_rng(0)
    uncertainty = Uncertainty(
        whitening=rng.standard_normal((FACTORS, rows_of(width), width), dtype=np.float32),
        factor_of=np.arange(OBJECTIVES) % FACTORS,
        covariance=np.eye(OBJECTIVES),
        quantiles=np.zeros((FACTORS, PERCENTILES)),
        thresholds=np.zeros(FACTORS),
        quantile=0.99,
    )
    features = rng.standard_normal((BATCH, width), dtype=np.float32)
    lower = np.asfortranarray(np.tril(rng.random((width, width), dtype=np.float32)) / width + np.eye(width, dtype="f"))
    coefficients = rng.random((BATCH, OBJECTIVES))
    square = rng.standard_normal((2048, 2048), dtype=np.float32)
    seconds, exactly, products = [], [], []
    for _ in range(REPEATS):
        started = time.perf_counter()
        leverages = uncertainty.leverages(features)
        uncertainty.combined_errors(leverages, coefficients)
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        solve_triangular(lower, features.T, lower=True, check_finite=False)
        exactly.append(FACTORS * (time.perf_counter() - started))
        started = time.perf_counter()
        square @ square
        products.append(2 * len(square) ** 3 / 1e9 / (time.perf_counter() - started))
    return {
        "width": width,
        "seconds": float(np.median(seconds)),
        "least_seconds": min(seconds),
        "exact_seconds": float(np.median(exactly)),
        "gflops": float(np.median(products)),
        "bytes": uncertainty.whitening.nbytes,
        "packed_bytes": 4 * FACTORS * packed_length(width),
    }


def accuracy(width: int) -> list[dict[str, Any]]:
    """Leverages beside the exact ones, for rows of three kinds and several spectra and penalties."""
    found = []
    directions = np.linalg.qr(np.random.default_rng(1).standard_normal((width, width), dtype=np.float32))[0]
    for power in POWERS:
        rng = np.random.default_rng(2)
        train = _rows(TRAIN_ROWS_A_COLUMN * width, power, 0, directions, rng)
        moment = (train.T @ train).astype(np.float64)
        kinds = {
            "held out": _rows(NEW_ROWS, power, 0, directions, rng),
            "other set": _rows(NEW_ROWS, power, 1, directions, rng),
        }
        held_out = kinds["held out"]
        kinds["margins"] = held_out[::2] - held_out[1::2]
        noise = rng.standard_normal(held_out.shape, dtype=np.float32)
        kinds["no text"] = noise * (_lengths(held_out) / _lengths(noise))
        validation = _rows(4 * NEW_ROWS, power, 0, directions, rng)
        for penalty in PENALTIES:
            factor = Factor.of(moment, penalty * float(np.trace(moment)) / width)
            assert factor is not None
            lower = unpacked(packed(factor.lower))
            matrix = whitening(lower, rows_of(width))
            exact_known, known = _exact(lower, validation), squared_lengths(validation @ matrix.T)
            for name, rows in kinds.items():
                exact, said = _exact(lower, rows), squared_lengths(rows @ matrix.T)
                ratio, place = said / exact, np.abs(_place(said, known) - _place(exact, exact_known))
                found.append(
                    {
                        "power": power,
                        "penalty": penalty,
                        "rows": name,
                        "leverage": float(exact.mean()),
                        "mean_ratio": float(ratio.mean()),
                        "spread": float(ratio.std()),
                        "error_spread": float(np.sqrt(ratio).std()),
                        "rank_correlation": float(spearmanr(exact, said).statistic),
                        "place": float(place.mean()),
                        "unfamiliar": float((said > np.quantile(known, 0.99)).mean()),
                        "unfamiliar_exactly": float((exact > np.quantile(exact_known, 0.99)).mean()),
                    }
                )
    return found


def _rows(n: int, power: float, kind: int, directions: Rows, rng: np.random.Generator) -> Rows:
    """Rows of a data set: a spectrum that falls with a power, bent and turned a little by the set's own lean."""
    width = len(directions)
    own = np.random.default_rng(100 + kind)
    deviation = np.arange(1, width + 1) ** (-power / 2) * np.exp(0.5 * own.standard_normal(width))
    lean = np.linalg.qr(own.standard_normal((width, 40), dtype=np.float32))[0]  # (c, 40)
    rows: Rows = (rng.standard_normal((n, width), dtype=np.float32) * deviation.astype(np.float32)) @ directions.T
    rows -= (rows @ lean) @ lean.T
    lengths = np.exp(0.2 * rng.standard_normal((n, 1))).astype(np.float32)
    mean: Rows = 3.0 * directions[:, 0]
    return rows * lengths + mean


def _lengths(rows: Rows) -> Rows:
    lengths: Rows = np.linalg.norm(rows, axis=-1, keepdims=True)
    return lengths


def _exact(lower: NDArray[Any], rows: Rows) -> NDArray[np.float64]:
    return squared_lengths(solve_triangular(lower, rows.T, lower=True, check_finite=False).T)


def _place(leverages: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    percent = np.linspace(0.0, 1.0, PERCENTILES)
    return np.interp(leverages, np.quantile(known, percent), percent)


if __name__ == "__main__":
    main()
