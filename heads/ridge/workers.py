"""Sums by several processes: each sums whole segments, then whole groups are added up, each by one of them."""

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path

from cache import FeatureStore, UserError
from cache.progress import Progress, silent
from heads.ridge import segments
from heads.ridge.files import FOLDER, GroupFile, load_statistics
from heads.ridge.group import Group
from heads.ridge.process_pool import ProcessPool
from heads.ridge.rated_rows import RatedRows
from heads.ridge.ray_pool import RayPool
from heads.ridge.segment_worker import Job, merge_group, sum_segment
from heads.ridge.segments import Segment, large_groups, plan_segments, saved_shards, shards_of
from heads.ridge.statistics import GramStatistics, file_name
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.subset import GroupKey

log = logging.getLogger(__name__)

SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes that share the sums."""

    count: int
    threads: int
    """Threads of each process of this machine, where OMP_NUM_THREADS does not say it."""
    ray_address: str | None = None
    """Address of the Ray cluster whose processes they are; None: they are this machine's, without Ray."""
    save_seconds: float = 30.0
    """Shortest time between two times that a worker saves the sums of the shards that it has finished."""

    def check(self) -> None:
        """Refuse what is known to fail, before anything is read.

        Raises:
            UserError: Ray is asked for, and is not installed or cannot be reached.
        """
        if self.ray_address is not None:
            RayPool.check(self.ray_address)

    def pool(self, count: int, job: Job, segments: int, row_bytes: int) -> ProcessPool | RayPool:
        """Processes for a job, `count` of them.

        Args:
            count: number of processes.
            job: facts for each.
            segments: number of segments.
            row_bytes: size of all rated rows, which go to the processes without their features.
        """
        if self.ray_address is None:
            return ProcessPool(count, self.threads, job, segments)
        return RayPool(count, self.ray_address, job, segments, row_bytes)


def add_rows_with_workers(
    statistics: GramStatistics,
    store: FeatureStore,
    rows: RatedRows,
    folder: Path,
    workers: Workers,
    progress: Progress = silent,
) -> None:
    """As `rated_rows.add_rows`, by several processes; groups that the statistics have lie in files.

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
    folder, root = folder.resolve(), store.folder.resolve().parent  # for processes elsewhere
    plan = plan_segments(folder / segments.FOLDER, shards, statistics, fingerprint, count, len(large))
    if resumed := sum(len(segment.shards) for segment in plan if segment.saved):
        log.info("the sums of %s of %s shards are there already", resumed, len(shards))
    log.info("%s workers sum %s shards", count, len(shards) - resumed)
    layout, layers = statistics.layout, statistics.layers
    device, seconds = statistics.device, workers.save_seconds
    job = Job(root, fingerprint, statistics.objectives, layout, layers, large, device, seconds)
    try:
        with workers.pool(count, job, len(plan), rows.nbytes).running() as pool:
            _sum(pool, plan, rows, progress)
            _merge(pool, plan, statistics, folder / FOLDER, progress)
    except KeyboardInterrupt:
        log.warning(
            "interrupted: the sums of %s of %s shards are saved; run the same command again to go on",
            sum(len(saved_shards(segment.folder)) for segment in plan),
            len(shards),
        )
        raise


def _sum(pool: ProcessPool | RayPool, plan: Sequence[Segment], rows: RatedRows, progress: Progress) -> None:
    """Let the processes make every segment's sums that are not saved."""
    saved = sum(len(segment.chosen) for segment in plan if segment.saved)
    waiting = set()
    for number, segment in enumerate(plan):
        if not segment.saved:
            sizes = [len(shard.chosen) for shard in segment.shards]
            some = rows.with_keys(segment.chosen)
            waiting.add(pool.submit(sum_segment, number, segment.folder, some, segment.digests, sizes))
    while waiting:
        finished, waiting = wait(waiting, SECONDS_BETWEEN_REPORTS, FIRST_COMPLETED)
        progress("summing features", saved + sum(pool.done()), len(rows.keys), "rows")
        for each in finished:
            if (mistake := each.result()) is not None:
                raise UserError(mistake)


def _merge(
    pool: ProcessPool | RayPool,
    plan: Sequence[Segment],
    statistics: GramStatistics,
    folder: Path,
    progress: Progress,
) -> None:
    """Add up what was there and the segments, group by group, in files of a folder."""
    pieces: dict[GroupKey, list[tuple[int, StoredArrays]]] = {}
    for segment in plan:
        if saved_shards(segment.folder) != segment.digests.keys():
            raise UserError(
                f"a worker's sums did not reach {segment.folder}: put the run's folder on a file system that all"
                " machines of the cluster see"
            )
        for key, group in load_statistics(segment.folder).statistics.groups.items():
            pieces.setdefault(key, []).append((group.n, _file(group)))
    for key in pieces.keys() & statistics.groups.keys():
        before = statistics.groups[key]
        pieces[key].insert(0, (before.n, _file(before)))
    keys = sorted(pieces)
    files = [folder / GroupFile(f"{file_name(key)}.safetensors") for key in keys]
    merging = [pool.submit(merge_group, pieces[key], file) for key, file in zip(keys, files, strict=True)]
    for number, (key, each) in enumerate(zip(keys, merging, strict=True)):
        merged = each.result()
        if isinstance(merged, str):
            raise UserError(merged)
        statistics.groups[key] = Group.in_file(statistics.layout, *merged)
        progress("adding up sums", number + 1, len(keys), "groups")


def _file(group: Group) -> StoredArrays:
    assert group.file is not None, "groups that were read back lie in files"
    return group.file
