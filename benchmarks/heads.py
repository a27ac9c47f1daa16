"""Fitting the heads compared with the authors' way: time, memory, and the difference of the results.

    python -m benchmarks.heads --rows 40000 --json benchmarks/heads.json
    python -m benchmarks.heads --full-size
    python -m benchmarks.heads --rows 160000 --workers 2

The authors' way, with scikit-learn as their public code does it: all features in memory as float32, cut into
training and validation rows; for every objective and alpha a `Ridge` on the rows that rate it, judged on the
validation rows; then once more with the best alpha on all rows. Ours: one pass over the same store into
statistics, then everything from those. Both read the same shards, in separate processes, one after the
other. Read the ratios.

With --workers: the same statistics by one process with a thread for each core, and by several with their share of the
threads; then by several of which one is killed when the first sums are saved, and again, which goes on with those.
"""

import argparse
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process_memory import peak_bytes
from cache import FeatureStore, Fingerprint, UserError
from cache.cores import cores
from heads.ridge import segments
from heads.ridge.files import FOLDER, INDEX, Origin, load_statistics, save_statistics
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import FRACTIONS, LEARNED
from heads.ridge.workers import Workers, add_rows_with_workers
from heads.settings import HeadSettings

ALPHAS = tuple(10.0**power for power in range(-2, 7))
PATTERNS = (5, 5, 1, 1, 1, 1, 5)
"""Objectives that are rated together: the nineteen of the published model in seven rating patterns."""
NAMES = tuple(f"objective-{number}" for number in range(sum(PATTERNS)))
SHARD_ROWS = 8192
VALIDATION = 0.1
FULL_SIZES = (142_500, 285_000, 570_000)
WIDTH = 4096


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=40_000, help="rated responses")
    parser.add_argument("--width", type=int, default=WIDTH, help="values of a feature")
    parser.add_argument("--authors-rows", type=int, help="rows for the authors' way, if fewer; its time is scaled up")
    parser.add_argument("--full-size", action="store_true", help="ours alone, at 570,000 rows and two smaller sizes")
    parser.add_argument("--workers", type=int, default=1, help="compare this many processes with one, ours alone")
    parser.add_argument("--folder", type=Path, help="folder of the store; by default a temporary one")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # in the process that it starts
    arguments = parser.parse_args()
    if arguments.way:
        sys.stdout.write(json.dumps(run_way(arguments.way, arguments.folder, arguments.rows, arguments.workers)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        if arguments.full_size:
            results = full_size(folder, arguments.width)
        elif arguments.workers > 1:
            results = by_processes(folder, arguments.rows, arguments.width, arguments.workers)
        else:
            results = side_by_side(folder, arguments.rows, arguments.width, arguments.authors_rows or arguments.rows)
    packages = ("numpy", "scipy", "scikit-learn")
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "results": results,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def side_by_side(folder: Path, rows: int, width: int, authors_rows: int) -> dict[str, Any]:
    """Both ways over the same rows, and the differences of their results."""
    generate(folder, rows, width)
    ours = start("ours", folder, rows)
    authors = start("authors", folder, authors_rows)
    scaled = authors["seconds"] * rows / authors_rows
    result = {
        "rows": rows,
        "width": width,
        "ours": ours,
        "authors": authors
        | {"rows": authors_rows, "seconds_at_these_rows": scaled, "extrapolated": authors_rows < rows},
        "times_faster": scaled / ours["seconds"],
        "share_of_memory": ours["peak_bytes"] / (authors["peak_bytes"] * rows / authors_rows),
    }
    if authors_rows == rows:
        start("exact", folder, rows)
        found, theirs, exact = (np.load(folder / f"{way}.npz") for way in ("ours", "authors", "exact"))
        size = np.linalg.norm(exact["weights"], axis=-1)  # (k,)
        result["agreement"] = {
            "same_alphas": bool((found["alphas"] == theirs["alphas"]).all()),
            "coefficients_from_float64": float(
                (np.linalg.norm(found["weights"] - exact["weights"], axis=-1) / size).max()
            ),
            "authors_coefficients_from_float64": float(
                (np.linalg.norm(theirs["weights"] - exact["weights"], axis=-1) / size).max()
            ),
            "validation_loss_at_the_choice": float(np.max(np.abs(found["best"] / theirs["best"] - 1))),
            "validation_loss_anywhere": float(np.nanmax(np.abs(found["path"] / theirs["path"] - 1))),
        }
    return result


def full_size(folder: Path, width: int) -> dict[str, Any]:
    """Ours at three sizes of one store."""
    generate(folder, FULL_SIZES[-1], width)
    return {"width": width, "ours": [start("saved", folder, rows) for rows in FULL_SIZES]}


def by_processes(folder: Path, rows: int, width: int, workers: int) -> dict[str, Any]:
    """One process and several, one after the other and each twice, then a killed run; with the results' differences."""
    generate(folder, rows, width)
    ways = ("saved", "workers", "workers", "saved")  # so that a machine that slows down favours neither
    measured = [start(way, folder, rows, workers) for way in ways]
    killed = [start(way, folder, rows, workers) for way in ("killed", "resumed")]
    one, several = (np.load(folder / f"{way}.npz") for way in ("saved", "workers"))
    size = np.linalg.norm(one["weights"], axis=-1)  # (k,)
    sums = [load_statistics(folder / way).statistics for way in ("saved", "workers")]
    return {
        "rows": rows,
        "width": width,
        "workers": workers,
        "one_process": [each for each in measured if each["way"] == "saved"],
        "by_workers": [each for each in measured if each["way"] == "workers"],
        "killed_and_resumed": killed,
        "same_alphas": bool((one["alphas"] == several["alphas"]).all()),
        "coefficients": float((np.linalg.norm(several["weights"] - one["weights"], axis=-1) / size).max()),
        "sums": max(difference_of_sums(*sums, objective) for objective in np.cumsum([0, *PATTERNS[:-1]])),
        "resumed_the_same_to_the_bit": files_of_sums(folder / "workers") == files_of_sums(folder / "killed"),
    }


def files_of_sums(folder: Path) -> dict[str, str]:
    """File -> digest of its content."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / FOLDER).iterdir()}


def difference_of_sums(one: GramStatistics, other: GramStatistics, objective: int) -> float:
    """Largest difference of an entry of x x', over the geometric mean of the two diagonal entries beside it."""
    first, second = (each.subset(objective, LEARNED).xx() for each in (one, other))  # (d, d)
    scale = np.sqrt(first.diagonal())
    return float((np.abs(first - second) / np.outer(scale, scale)).max())


def start(way: str, folder: Path, rows: int, workers: int = 1) -> dict[str, Any]:
    """Run one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.heads", "--way", way, "--folder", str(folder), "--rows", str(rows)]
    command += ["--workers", str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{way}, {rows:,} rows: {measured}\n")
    return measured


def generate(folder: Path, rows: int, width: int) -> None:
    """A store of float16 features whose variances fall off by a power law, and ratings planted in them.

    Every direction of the features is a mixture of all columns (three reflections), one column has a large
    constant part, as backbones have, and ratings are in steps of a fifth.
    """
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((3, width)).astype(np.float32)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    spread = np.arange(1, width + 1, dtype=np.float32) ** -0.25  # standard deviations (d,); variances: ^-0.5
    planted = rng.standard_normal((width, len(NAMES))).astype(np.float32) / np.sqrt(width)
    patterns = rng.integers(0, len(PATTERNS), rows)
    targets = np.full((rows, len(NAMES)), np.nan)
    store = FeatureStore.create(folder, FINGERPRINT, width)
    keys = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    with store.writing():
        for begin in range(0, rows, SHARD_ROWS):
            count = min(SHARD_ROWS, rows - begin)
            features = rng.standard_normal((count, width), dtype=np.float32) * spread
            for axis in axes:
                features -= 2 * np.outer(features @ axis, axis)
            features[:, 7] += 8
            features = features.astype(np.float16).astype(np.float32)
            noise = rng.standard_normal((count, len(NAMES)))
            rated = np.clip(np.round(5 * (0.5 + 0.2 * (features @ planted) + 0.15 * noise)), 0, 5) / 5
            for pattern, columns in enumerate(columns_of_patterns()):
                these = np.flatnonzero(patterns[begin : begin + count] == pattern)
                targets[begin + these[:, None], columns] = rated[these[:, None], columns]
            some = keys[begin : begin + count]
            store.seal(f"{begin:08d}", some, np.ones(count, np.int32), features.reshape(count, 1, -1))
    held_out = rng.random(rows) < VALIDATION
    np.savez(folder / "rows.npz", keys=keys, targets=targets, patterns=patterns, held_out=held_out)


FINGERPRINT = Fingerprint("b", "t", "c", "p", (-1,), "float32", "float16", "packed")


def columns_of_patterns() -> list[NDArray[np.int64]]:
    """The objectives of each rating pattern."""
    edges = np.cumsum([0, *PATTERNS])
    return [np.arange(first, last) for first, last in pairwise(edges)]


def run_way(way: str, folder: Path, rows: int, workers: int) -> dict[str, Any]:
    """Fit, save the results for the comparison, and print time and memory of this process."""
    store = FeatureStore.open(folder, FINGERPRINT.digest)
    data = {name: array[:rows] for name, array in np.load(folder / "rows.npz").items()}
    started = time.perf_counter()
    measured = by_statistics(store, data, folder, way, workers) if way in OURS else OTHERS[way](store, data, folder)
    measured["seconds"] = time.perf_counter() - started
    measured["peak_bytes"] = peak_bytes()
    return measured | {"rows": rows}


def by_authors(store: FeatureStore, data: dict[str, NDArray[Any]], folder: Path) -> dict[str, Any]:
    """190 fits of scikit-learn's `Ridge` on features in memory."""
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mean_squared_error

    started = time.perf_counter()
    features = store.gather(data["keys"])[:, 0]  # (n, d) float32
    reading = time.perf_counter() - started
    targets = data["targets"].astype(np.float32)
    train, held_out = features[~data["held_out"]], features[data["held_out"]]
    y_train, y_held_out = targets[~data["held_out"]], targets[data["held_out"]]
    path = np.full((len(ALPHAS), len(NAMES)), np.nan)
    weights = np.empty((len(NAMES), features.shape[1]))
    for objective in range(len(NAMES)):
        rated, judged = ~np.isnan(y_train[:, objective]), ~np.isnan(y_held_out[:, objective])
        for number, alpha in enumerate(ALPHAS):
            model = Ridge(alpha=alpha, fit_intercept=False).fit(train[rated], y_train[rated, objective])
            path[number, objective] = mean_squared_error(y_held_out[judged, objective], model.predict(held_out[judged]))
        best = ALPHAS[int(np.argmin(path[:, objective]))]
        rated = ~np.isnan(targets[:, objective])
        weights[objective] = (
            Ridge(alpha=best, fit_intercept=False).fit(features[rated], targets[rated, objective]).coef_
        )
    alphas = np.asarray(ALPHAS)[path.argmin(axis=0)]
    np.savez(folder / "authors.npz", path=path, best=path.min(axis=0), alphas=alphas, weights=weights)
    return {"reading": reading}


def exactly(store: FeatureStore, data: dict[str, NDArray[Any]], folder: Path) -> dict[str, Any]:
    """The final heads by scikit-learn in float64, with the alphas that our way selected."""
    from sklearn.linear_model import Ridge

    alphas = np.load(folder / "ours.npz")["alphas"]
    weights = np.empty((len(NAMES), store.hidden_size))
    for pattern, columns in enumerate(columns_of_patterns()):
        rows = data["patterns"] == pattern
        features = store.gather(data["keys"][rows])[:, 0].astype(np.float64)
        for column in columns:
            model = Ridge(alpha=alphas[column], fit_intercept=False)
            weights[column] = model.fit(features, data["targets"][rows, column]).coef_
    np.savez(folder / "exact.npz", weights=weights)
    return {}


def by_statistics(
    store: FeatureStore, data: dict[str, NDArray[Any]], folder: Path, way: str = "ours", workers: int = 1
) -> dict[str, Any]:
    """One pass, then every solve, the first time in a folder.

    Args:
        store: the features.
        data: the rows.
        folder: receives the results.
        way: 'ours'; 'saved': the statistics are saved and read back, as by `armorm fit-heads`; 'workers', 'killed' and
            'resumed': the same by several processes.
        workers: number of processes.
    """
    started = time.perf_counter()
    own = folder / ("killed" if way == "resumed" else way)
    if way != "resumed":
        shutil.rmtree(own, ignore_errors=True)
    statistics = GramStatistics(NAMES, store.hidden_size, storage=store.dtype, spill=own / FOLDER)
    buckets = np.searchsorted(FRACTIONS, data["keys"][:, 0] / 256.0, side="right")
    buckets[data["held_out"]] = 0
    parts = (("all", "train"), ("all", "validation"))
    rows = RatedRows(
        data["keys"], np.arange(len(buckets)), data["targets"], buckets, data["held_out"].astype(np.int64), parts
    )
    if way in ("ours", "saved"):
        add_rows(statistics, store, rows, lambda _: None)
    else:
        if way == "killed":
            threading.Thread(target=kill_a_worker, args=(own,), daemon=True).start()
        threads = max(1, cores() // workers)
        try:
            add_rows_with_workers(statistics, store, rows, own, Workers(workers, threads))
        except UserError as error:
            return {"way": way, "error": str(error)}
    measured: dict[str, Any] = {"way": way, "pass": time.perf_counter() - started}
    if way != "ours":
        save_statistics(own, statistics, Origin(), "")
        statistics = load_statistics(own).statistics
        measured["save"] = time.perf_counter() - started - measured["pass"]
        measured["statistics_bytes"] = sum(path.stat().st_size for path in (own / FOLDER).iterdir())
        own_use, workers_use = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        measured["processor_seconds"] = sum(use.ru_utime + use.ru_stime for use in (own_use, workers_use))
        measured["largest_worker_bytes"] = 1024 * workers_use.ru_maxrss
        if way == "resumed" or (folder / f"{way}.npz").exists():  # its sums are compared, or it was timed before
            return measured
    fitted = fit_heads(statistics, HeadSettings(alphas=ALPHAS, uncertainty=False), skip_unfit=False).objectives
    measured["solve"] = time.perf_counter() - started - sum(measured.get(part, 0.0) for part in ("pass", "save"))
    np.savez(
        folder / f"{way}.npz",
        path=np.array([head.validation_path for head in fitted]).T,
        best=np.array([head.validation_mse for head in fitted]),
        alphas=np.array([head.alpha for head in fitted]),
        weights=np.stack([head.weight for head in fitted]),
    )
    return measured


def kill_a_worker(folder: Path) -> None:
    """End one of this process's workers once a segment's sums are saved."""
    while not list((folder / segments.FOLDER).glob(f"*/{INDEX}")):
        time.sleep(0.01)
    process = multiprocessing.active_children()[0]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)


OURS = ("ours", "saved", "workers", "killed", "resumed")
OTHERS = {"authors": by_authors, "exact": exactly}
WAYS = (*OURS, *OTHERS)

if __name__ == "__main__":
    main()
