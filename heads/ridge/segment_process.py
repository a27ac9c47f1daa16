"""A process that sums segments and merges groups for `heads.ridge.workers`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cache import FeatureStore, UserError
from cache.child_process import bind_to_parent
from heads.ridge.files import FOLDER, Origin, save_statistics
from heads.ridge.group import Group
from heads.ridge.layout import Layout
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StoredArrays
from heads.ridge.subset import GroupKey
from heads.ridge.symmetric import Scratch


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

    @cached_property
    def store(self) -> FeatureStore:
        """The features."""
        return FeatureStore.open(self.root, self.fingerprint)

    def statistics(self, spill: Path) -> GramStatistics:
        """Statistics without rows, whose groups spill to a folder."""
        return GramStatistics(
            self.objectives,
            self.layout.width,
            layers=self.layers,
            joint=len(self.layout.blocks) == 1,
            storage=self.layout.storage,
            product=self.layout.product,
            spill=spill,
            large=self.large,
        )


class _ToldToStopError(Exception):
    """The parent needs no more sums."""


_job: Job
_scratch: Scratch
_done: Any
"""Shared with the parent: number of keys whose rows are added, for each segment."""
_stop: Any
"""Shared with the parent: whether to stop."""


def begin(job: Job, done: Any, stop: Any) -> None:
    """Prepare a process of the pool."""
    global _job, _scratch, _done, _stop
    _job, _scratch, _done, _stop = job, Scratch(), done, stop
    bind_to_parent()


def sum_segment(number: int, folder: Path, rows: RatedRows, shards: dict[str, str]) -> str | None:
    """Sum a segment's rows, and save the sums durably.

    Args:
        number: of the segment, for the report of progress.
        folder: receives the sums.
        rows: the rows.
        shards: shard -> digest of its rows, which says later what was summed.

    Returns:
        The message of a `UserError`, which in another process would lose its kind; None if all went well.
    """

    def report(done: int) -> None:
        _done[number] = done
        if _stop.value:
            raise _ToldToStopError

    try:
        statistics = _job.statistics(folder / FOLDER)
        add_rows(statistics, _job.store, rows, report)
        save_statistics(folder, statistics, Origin(_job.fingerprint, shards), {})
    except UserError as error:
        return str(error)
    return None


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
