"""The work of a process that sums segments and merges groups for `heads.ridge.workers`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from cache import FeatureStore, UserError
from heads.ridge.files import FOLDER, Origin, save_statistics
from heads.ridge.group import Group
from heads.ridge.layout import Layout
from heads.ridge.products import BlockProducts, Device
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.subset import GroupKey

SAVING_SHARE = 0.05
"""Largest share of a worker's time that it spends on saving unfinished sums."""


@dataclass(frozen=True)
class Job:
    """Facts that every process needs."""

    root: Path
    """Folder of the store's folder."""
    fingerprint: str
    """The store's name."""
    objectives: tuple[str, ...]
    layout: Layout
    layers: int
    large: frozenset[GroupKey]
    """Groups that have more rows than are kept."""
    device: Device
    """Where float32 features are multiplied."""
    save_seconds: float
    """Shortest time between two times that the sums of an unfinished segment are saved."""

    @cached_property
    def store(self) -> FeatureStore:
        """The features."""
        return FeatureStore.open(self.root, self.fingerprint)

    def statistics(self, spill: Path) -> GramStatistics:
        """Statistics without rows, whose groups spill to a folder."""
        how = {"spill": spill, "large": self.large, "device": self.device}
        return GramStatistics.of_layout(self.objectives, self.layout, self.layers, **how)


class ToldToStopError(Exception):
    """The parent needs no more sums."""


_job: Job
_scratch: BlockProducts
_report: Callable[[int, int], None]
"""Called with a segment's number and how many of its keys are done; may raise `ToldToStopError`."""


def begin(job: Job, report: Callable[[int, int], None]) -> None:
    """Prepare this process."""
    global _job, _scratch, _report
    _job, _scratch, _report = job, BlockProducts(job.device), report


def sum_segment(number: int, folder: Path, rows: RatedRows, shards: dict[str, str], sizes: Sequence[int]) -> str | None:
    """Sum a segment's rows, and save the sums durably.

    What is summed up to the end of a shard is saved on the way too, so that a process that is killed loses minutes.

    Args:
        number: of the segment, for the report of progress.
        folder: receives the sums.
        rows: the rows, shard after shard.
        shards: shard -> digest of its rows, which says later what was summed.
        sizes: number of keys of each shard.

    Returns:
        The message of a `UserError`, which in another process would lose its kind; None if all went well.
    """
    ends = {end: at for at, end in enumerate(accumulate(sizes), 1)}  # keys done -> shards done
    saving = _Saving(_job.save_seconds)

    def report(done: int) -> None:
        _report(number, done)
        if done in ends and done < len(rows.keys) and saving.due():
            with_rows = dict(list(shards.items())[: ends[done]])
            with saving:
                save_statistics(folder, statistics, Origin(_job.fingerprint, with_rows), {}, finished=False)

    try:
        statistics = _job.statistics(folder / FOLDER)
        add_rows(statistics, _job.store, rows, report)
        save_statistics(folder, statistics, Origin(_job.fingerprint, shards), {})
    except UserError as error:
        return str(error)
    return None


class _Saving:
    """The time to save: often enough to lose little, and seldom enough to cost little."""

    def __init__(self, least: float) -> None:
        self._wait = least
        self._least = least
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() - self._last >= self._wait

    def __enter__(self) -> None:
        self._last = time.monotonic()

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        self._wait = max(self._least, (now - self._last) / SAVING_SHARE)
        self._last = now


def merge_group(pieces: Sequence[tuple[int, StoredArrays]], path: Path) -> tuple[int, StoredArrays] | str:
    """Add up one group's sums, and save them durably.

    Args:
        pieces: number of rows, and file, of the group in each segment, in the order of adding.
        path: file to write.

    Returns:
        Number of rows and the file, or the message of a `UserError`.
    """
    whole = Group(_job.layout)
    try:
        for n, stored in pieces:
            whole.merge(Group.in_file(_job.layout, n, stored), _scratch)
        whole.flush(_scratch)
    except UserError as error:
        return str(error)
    return whole.n, whole.save(path)
