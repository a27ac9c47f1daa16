"""Time of every variant of `armorm ablate` once the statistics exist, at the real width.

    python -m benchmarks.ablate --json benchmarks/ablate.json
    python -m benchmarks.ablate --rows 160000 --json benchmarks/ablate-160000.json

Eight data sets rate nineteen objectives as the published ones do: seven rating patterns, and one objective that
two data sets rate. The features are random with a falling spectrum and planted heads, made in memory: the measured
time is that of solving from statistics on disk, as the command does.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from benchmarks.conditions import Conditions
from benchmarks.process_memory import peak_bytes
from cache.progress import silent
from heads.objectives import PUBLISHED_OBJECTIVES
from heads.ridge.ablations import RidgeAblations
from heads.ridge.files import Origin, load_statistics, save_statistics
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.variants import Variants
from heads.settings import HeadSettings

RATED = {
    "helpsteer": slice(0, 5),
    "ultrafeedback": slice(5, 10),
    "beavertails": slice(10, 11),
    "prometheus": slice(11, 12),
    "capybara": slice(12, 13),
    "openorca": slice(13, 14),
    "math_preference": slice(6, 7),
    "code_ultrafeedback": slice(14, 19),
}
"""Data set -> indices of the objectives that it rates."""

ALPHAS = tuple(10.0**power for power in range(-2, 7))
BLOCK_ROWS = 2048
ROWS, WIDTH = 40_000, 4096
QUICK_ROWS, QUICK_WIDTH = 4_000, 1152
"""Sizes with --quick: wider than the widest matrix that is solved by its eigenvalues, as the others are."""


def main() -> None:
    """Make statistics, time all variants, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, help="rated responses, an eighth of them in each data set")
    parser.add_argument("--width", type=int, help="number of values of a feature")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--folder", type=Path, help="folder of the statistics; by default a temporary one")
    arguments = parser.parse_args()
    conditions = Conditions()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows, width = (QUICK_ROWS, QUICK_WIDTH) if arguments.quick else (ROWS, WIDTH)
        report = measure(Path(folder), arguments.rows or rows, arguments.width or width)
    conditions.write(arguments.json, report)
    sys.stdout.write(table(report))


def measure(folder: Path, rows: int, width: int) -> dict[str, Any]:
    """Seconds of every variant."""
    started = time.perf_counter()
    made = GramStatistics(tuple(objective.name for objective in PUBLISHED_OBJECTIVES), width, storage="float16")
    _fill(made, rows, width)
    save_statistics(folder, made, Origin(), "")
    settings = HeadSettings(alphas=ALPHAS, uncertainty=False)
    seconds = {"statistics": time.perf_counter() - started}
    statistics = load_statistics(folder).statistics
    started = time.perf_counter()
    fitted = fit_heads(statistics, settings, skip_unfit=False).objectives
    seconds["all heads, all penalties"] = time.perf_counter() - started
    statistics = load_statistics(folder).statistics  # as the command reads them
    chosen = {head.name: head.alpha for head in fitted}
    variants = Variants(RidgeAblations(statistics, chosen, settings), silent)
    started = time.perf_counter()
    variants.datasets()
    variants.objectives()
    variants.rows()
    seconds["all variants"] = time.perf_counter() - started
    kinds: dict[str, list[float]] = {}
    for name, taken in variants.seconds.items():
        kind = "a fraction of the rows" if "of the rows" in name else name.rsplit(" ", 1)[0]
        kinds.setdefault("heads of the training rows (once)" if name.startswith("heads") else kind, []).append(taken)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, threads {_threads()}",
        "python": platform.python_version(),
        "rows": rows,
        "width": width,
        "alphas": len(ALPHAS),
        "variants": len(variants.seconds),
        "kinds": {
            kind: {"n": len(taken), "median": float(np.median(taken)), "slowest": max(taken)}
            for kind, taken in kinds.items()
        },
        "over_two_seconds": sorted(name for name, taken in variants.seconds.items() if taken > 2.0),
        "seconds": seconds,
        "peak_bytes": peak_bytes(),
    }


def _fill(statistics: GramStatistics, rows: int, width: int) -> None:
    """Rows of every data set, a tenth of them validation rows; training rows in the four buckets of fractions."""
    rng = np.random.default_rng(0)
    k = len(statistics.objectives)
    scale = np.geomspace(3.0, 0.03, width).astype(np.float32)  # (d,)
    planted = rng.standard_normal((width, k)) * 0.2 / np.linalg.norm(scale)  # (d, k)
    for dataset, rated in RATED.items():
        left = rows // len(RATED)
        while left:
            n = min(BLOCK_ROWS, left)
            left -= n
            features = (rng.standard_normal((n, width), dtype=np.float32) * scale).astype(np.float16)  # (n, d)
            targets = np.full((n, k), np.nan)
            truth = features.astype(np.float32) @ planted[:, rated]
            targets[:, rated] = 0.5 + truth + 0.1 * rng.standard_normal(truth.shape)
            held_out = rng.random(n) < 0.1
            buckets = np.searchsorted((0.125, 0.25, 0.5), rng.random(n), side="right")
            for split, some in (("train", ~held_out), ("validation", held_out)):
                statistics.add(
                    dataset, split, features[some], targets[some], buckets[some] if split == "train" else None
                )
    statistics.flush()


def _threads() -> int:
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def table(report: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        f"{report['rows']:,} rows × {report['width']:,}, {report['alphas']} alphas, {report['variants']} variants",
        "",
    ]
    lines += ["| variants | number | median s | slowest s |", "|---|---|---|---|"]
    lines += [
        f"| {kind} | {figures['n']} | {figures['median']:.2f} | {figures['slowest']:.2f} |"
        for kind, figures in report["kinds"].items()
    ]
    lines += ["", ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in report["seconds"].items())]
    lines.append(f"peak memory {report['peak_bytes'] / 1e9:.2f} GB; {report['machine']}, Python {report['python']}")
    lines.append(f"over two seconds: {', '.join(report['over_two_seconds']) or 'none'}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
