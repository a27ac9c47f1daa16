"""This project's way: one pass into statistics, then every solve; also with saving, and by several processes."""

import multiprocessing
import os
import resource
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.heads.data import ALPHAS, NAMES, Data
from cache import FeatureStore, UserError
from cache.cores import cores
from heads.ridge import segments
from heads.ridge.files import FOLDER, INDEX, Origin, load_statistics, save_statistics
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.selection import fit_heads
from heads.ridge.statistics import GramStatistics
from heads.ridge.subset import FRACTIONS
from heads.ridge.workers import Workers, add_rows_with_workers
from heads.settings import HeadSettings


def fit(
    store: FeatureStore, data: Data, folder: Path, way: str = "ours", workers: int = 1, solve: bool = True
) -> dict[str, Any]:
    """One pass, then every solve.

    Args:
        store: the features.
        data: the rows.
        folder: receives the results.
        way: 'ours'; 'saved': the statistics are saved and read back, as by `armorm fit-heads`; 'workers', 'killed' and
            'resumed': the same by several processes.
        workers: number of processes.
        solve: whether the heads are fitted too.
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
            return {"error": str(error)}
    measured: dict[str, Any] = {"pass": time.perf_counter() - started}
    if way != "ours":
        save_statistics(own, statistics, Origin(), "")
        statistics = load_statistics(own).statistics
        measured["save"] = time.perf_counter() - started - measured["pass"]
        measured["statistics_bytes"] = sum(path.stat().st_size for path in (own / FOLDER).iterdir())
        own_use, workers_use = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        measured["processor_seconds"] = sum(use.ru_utime + use.ru_stime for use in (own_use, workers_use))
        measured["largest_worker_bytes"] = 1024 * workers_use.ru_maxrss
    if not solve:
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
