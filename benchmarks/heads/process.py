"""One way in a process of its own, so that its peak memory is its own."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.heads.data import Data, read
from benchmarks.process_memory import peak_bytes
from cache import FeatureStore

OURS = ("ours", "saved", "workers", "killed", "resumed")
WAYS = (*OURS, "normal_equations", "authors", "exact")


def start(way: str, folder: Path, rows: int, workers: int = 1, solve: bool = True) -> dict[str, Any]:
    """Run one way in a process; its figures."""
    command = [sys.executable, "-m", "benchmarks.heads", "--way", way, "--folder", str(folder), "--rows", str(rows)]
    command += ["--workers", str(workers), *([] if solve else ["--no-solve"])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{way}, {rows:,} rows: {measured}\n")
    return measured


def run_way(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit in this process and save the results for the comparison: time and memory."""
    (rows,) = arguments.rows
    store, data = read(arguments.folder, rows)
    fit = _way(arguments)  # imports what the way needs before the clock starts
    started = time.perf_counter()
    measured = fit(store, data, arguments.folder)
    measured["seconds"] = time.perf_counter() - started
    measured["peak_bytes"] = peak_bytes()
    return {"way": arguments.way, "rows": rows} | measured


def _way(arguments: argparse.Namespace) -> Callable[[FeatureStore, Data, Path], dict[str, Any]]:
    if arguments.way == "normal_equations":
        from benchmarks.heads import normal_equations

        return normal_equations.fit
    if arguments.way in ("authors", "exact"):
        from benchmarks.heads import authors

        return authors.fit if arguments.way == "authors" else authors.fit_exactly
    from benchmarks.heads import ours

    return lambda store, data, folder: ours.fit(
        store, data, folder, arguments.way, arguments.workers, not arguments.no_solve
    )
