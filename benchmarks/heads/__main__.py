"""Command line of the heads' benchmark: see the package."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import scipy.linalg  # noqa: F401  # loads its BLAS, so that the report names it
from threadpoolctl import threadpool_info

import benchmarks.heads as package
from benchmarks.conditions import Conditions
from benchmarks.heads.by_workers import by_workers
from benchmarks.heads.comparison import full_size, side_by_side
from benchmarks.heads.data import generate
from benchmarks.heads.process import WAYS, run_way
from cache.cores import cores

ROWS = (20_000, 40_000, 160_000)
FULL_SIZES = (142_500, 285_000, 570_000)
WIDTH = 4096
QUICK_ROWS, QUICK_WIDTH = (3_000, 12_000), 1280
"""Rows and width with --quick: wider than the widest matrix that ours solves by its eigenvalues, so that all of the
other sizes' code runs; and groups that stay rows at one size and become matrices at the other. The authors' way runs at
the smaller size alone, and each way once."""
SLOWS_BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables of the environment that make numpy and scipy slower where they name another processor or cache."""


def main() -> None:
    """Measure, print, write JSON."""
    text = (package.__doc__ or "").split("\n", maxsplit=1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heads", description=text)
    parser.add_argument("--rows", type=int, nargs="+", help="rated responses, one or several sizes")
    parser.add_argument("--width", type=int, help="values of a feature")
    parser.add_argument("--rounds", type=int, help="turns of ours and of the normal equations; 2, quick 1")
    parser.add_argument("--authors-rows", type=int, help="most rows for the authors' way; extrapolated beyond")
    parser.add_argument("--full-size", action="store_true", help="without the authors' way, at 570,000 rows and less")
    parser.add_argument("--workers", type=int, default=1, help="compare so many processes with one")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--folder", type=Path, help="folder of the store; by default a temporary one")
    parser.add_argument("--json", type=Path, help="file to write the figures to, after each finished part")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # in the process that it starts
    parser.add_argument("--no-solve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        sys.stdout.write(json.dumps(run_way(arguments)))
        return
    conditions = Conditions()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 2)
    arguments.authors_rows = arguments.authors_rows or (QUICK_ROWS[0] if arguments.quick else ROWS[1])
    width = arguments.width or (QUICK_WIDTH if arguments.quick else WIDTH)
    default = FULL_SIZES if arguments.full_size else ROWS[-1:] if arguments.workers > 1 else ROWS
    if arguments.quick:
        default = QUICK_ROWS[-1:] if arguments.workers > 1 else QUICK_ROWS
    sizes = sorted(arguments.rows or default)
    report: dict[str, Any] = {"blas": blas(), "width": width}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        for part, figures in measured(Path(temporary), sizes, width, arguments):
            report[part] = figures
            conditions.write(arguments.json, report)
    sys.stdout.write(package.table(report))


def measured(
    folder: Path, sizes: Sequence[int], width: int, arguments: argparse.Namespace
) -> Iterator[tuple[str, Any]]:
    """The report's part that the arguments ask for, after each step of it."""
    generate(folder, sizes[-1], width)
    if arguments.full_size:
        workers = arguments.workers if arguments.workers > 1 else max(2, cores())
        yield from (("full_size", figures) for figures in full_size(folder, sizes, workers))
        return
    if arguments.workers > 1:
        yield from (("by_workers", figures) for figures in by_workers(folder, sizes[-1], arguments.workers))
        return
    finished: list[dict[str, Any]] = []
    by_authors: set[int] = set()  # a size that would be extrapolated from one that was measured is not measured again
    for rows in sizes:
        authors_rows = min(rows, arguments.authors_rows)
        again = authors_rows in by_authors
        by_authors.add(authors_rows)
        for figures in side_by_side(folder, rows, arguments.rounds, 0 if again else authors_rows):
            yield "side_by_side", [*finished, figures]
        finished.append(figures)


def blas() -> dict[str, Any]:
    """The BLAS libraries with the kernels that they chose, and variables that would make them slower."""
    libraries = [
        {name: library.get(name) for name in ("internal_api", "version", "architecture", "num_threads")}
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    return {
        "libraries": libraries,
        "environment": {name: os.environ[name] for name in SLOWS_BLAS if name in os.environ},
    }


if __name__ == "__main__":
    main()
