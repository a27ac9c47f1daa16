"""Sums by several processes: each sums whole segments, then whole groups are added up, each by one of them."""

import ctypes
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import FeatureStore, UserError
from cache.progress import Progress, silent
from heads.ridge import segments
from heads.ridge.files import FOLDER, INDEX, GroupFile, load_statistics
from heads.ridge.group import Group
from heads.ridge.rated_rows import RatedRows
from heads.ridge.segment_process import Job, begin, merge_group, sum_segment
from heads.ridge.segments import Segment, large_groups, plan_segments, shards_of
from heads.ridge.statistics import GramStatistics, file_name
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.subset import GroupKey

log = logging.getLogger(__name__)

SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes of this machine that share the sums."""

    count: int
    threads: int
    """Threads of each, where OMP_NUM_THREADS does not say it."""


def add_rows_with_workers(
    statistics: GramStatistics,
    store: FeatureStore,
    rows: RatedRows,
    folder: Path,
    workers: Workers,
    progress: Progress = silent,
) -> None:
    """As `rated_rows.add_rows`, by several processes, into groups that the statistics do not have.

    The groups lie in files afterwards, `save_statistics` makes them final. Each process holds up to the memory limit of
    statistics of its own.

    Args:
        statistics: extended in place.
        store: holds the features.
        rows: the rows.
        folder: of the statistics; segments' sums stay in it until the caller removes them.
        workers: number of processes and of their threads.
        progress: called with the number of features read by all of them together.

    Raises:
        UserError: a process was ended from outside, or raised one.
        KeyboardInterrupt: passed on; what is saved stays.
    """
    store.n_tokens(rows.keys)  # refuses keys without a feature, as reading would
    large = large_groups(rows, statistics.layout.kept_rows)
    shards = shards_of(store, rows)
    count = min(workers.count, len(shards))
    if count < workers.count:
        log.warning("there are only %s shards to sum, so there are no more workers", count)
    fingerprint = store.fingerprint.digest
    plan = plan_segments(folder / segments.FOLDER, shards, statistics, fingerprint, count, len(large))
    if resumed := sum(len(segment.shards) for segment in plan if segment.saved):
        log.info("the sums of %s of %s shards are there already", resumed, len(shards))
    log.info("%s workers sum %s shards", count, len(shards) - resumed)
    job = Job(store.folder.parent, fingerprint, statistics.objectives, statistics.layout, statistics.layers, large)
    try:
        with _Pool(count, workers.threads, job, len(plan)).running() as pool:
            _sum(pool, plan, rows, progress)
            _merge(pool, plan, statistics, folder / FOLDER, progress)
    except KeyboardInterrupt:
        saved = sum(len(segment.shards) for segment in plan if (segment.folder / INDEX).exists())
        log.warning(
            "interrupted: the sums of %s of %s shards are saved; run the same command again to go on",
            saved,
            len(shards),
        )
        raise


class _Pool:
    """The processes, and what is shared with them."""

    def __init__(self, count: int, threads: int, job: Job, segments: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.done: Any = context.Array(ctypes.c_int64, segments, lock=False)  # (segments,) keys whose rows are added
        self._stop: Any = context.Value(ctypes.c_bool, False, lock=False)
        self._threads = threads
        self._executor = ProcessPoolExecutor(count, context, begin, (job, self.done, self._stop))

    @contextmanager
    def running(self) -> Iterator["_Pool"]:
        """Processes start and end within this block."""
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ.setdefault("OMP_NUM_THREADS", str(self._threads))  # read by each process when it loads BLAS
        try:
            yield self
        except (BrokenProcessPool, MemoryError):
            raise UserError(
                "a worker of fit-heads was ended, most likely for lack of memory: run it again, which goes on with the"
                " sums that are saved, with fewer --workers"
            ) from None
        finally:
            self._stop.value = True
            self._executor.shutdown(cancel_futures=True)
            if before is None:
                os.environ.pop("OMP_NUM_THREADS", None)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        return self._executor.submit(work, *arguments)


def _sum(pool: _Pool, plan: Sequence[Segment], rows: RatedRows, progress: Progress) -> None:
    """Let the processes make every segment's sums that are not saved."""
    waiting = set()
    for number, segment in enumerate(plan):
        if segment.saved:
            pool.done[number] = len(segment.chosen)
        else:
            some = rows.with_keys(segment.chosen)
            waiting.add(pool.submit(sum_segment, number, segment.folder, some, segment.digests))
    while waiting:
        finished, waiting = wait(waiting, SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
        progress("summing features", sum(pool.done), len(rows.keys), "rows")
        for each in finished:
            if (mistake := each.result()) is not None:
                raise UserError(mistake)


def _merge(pool: _Pool, plan: Sequence[Segment], statistics: GramStatistics, folder: Path, progress: Progress) -> None:
    """Add up the segments, group by group, in files of a folder."""
    pieces: dict[GroupKey, list[tuple[int, StoredArrays]]] = {}
    for segment in plan:
        for key, group in load_statistics(segment.folder).statistics.groups.items():
            assert group.file is not None, "groups that were read back lie in files"
            pieces.setdefault(key, []).append((group.n, group.file))
    keys = sorted(pieces)
    files = [folder / GroupFile(f"{file_name(key)}.safetensors") for key in keys]
    merging = [pool.submit(merge_group, pieces[key], file) for key, file in zip(keys, files, strict=True)]
    for number, (key, each) in enumerate(zip(keys, merging, strict=True)):
        merged = each.result()
        if isinstance(merged, str):
            raise UserError(merged)
        statistics.groups[key] = Group.in_file(statistics.layout, *merged)
        progress("adding up sums", number + 1, len(keys), "groups")
