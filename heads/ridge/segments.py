"""Segments: the stored features cut into runs of shards, each summed by one process and saved for itself.

A segment's sums depend on its rows alone, whoever makes them and when, so the total, added up in the order of the
shards, is the same to the bit however the work falls to the processes. A run that was ended goes on with what is
saved, with any number of processes: the first shards of a segment that was not finished are then a segment themselves,
and the rest is divided anew, so that sums differ by rounding of another order.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.fingerprint import digest_of
from cache.keys import KeyIndex
from cache.sealed_shard import SealedShard
from heads.ridge.files import load_statistics
from heads.ridge.rated_rows import RatedRows
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StatisticsDamageError
from heads.ridge.subset import GroupKey

log = logging.getLogger(__name__)

FOLDER = "statistics.unfinished"
"""Folder, beside the statistics, of the segments' sums until all are added up."""

ROWS_A_MATRIX = 4096
"""Rows in a segment for each group that has a matrix, about, unless a process would have nothing to do. To write, read
and add up a matrix takes as long as to multiply some 600 rows into it, whatever its width."""


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """The rated rows in one shard of the store."""

    name: str
    chosen: NDArray[np.int64]
    """(c,) index into the keys of the rows."""
    digest: str
    """`RatedRows.digest` of the rows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Some shards whose rows are summed together."""

    folder: Path
    """Holds the sums once they are made."""
    shards: tuple[Shard, ...]
    saved: bool
    """Whether the sums were made by a run that was ended."""

    @property
    def chosen(self) -> NDArray[np.int64]:
        """(c,) index into the keys of the rows."""
        return np.concatenate([shard.chosen for shard in self.shards])

    @property
    def digests(self) -> dict[str, str]:
        """Shard -> digest of its rows."""
        return {shard.name: shard.digest for shard in self.shards}


def large_groups(rows: RatedRows, kept_rows: int) -> frozenset[GroupKey]:
    """The groups of these rows that have more rows than are kept."""
    rated = pl.DataFrame(~np.isnan(rows.targets), schema=[f"rated {at}" for at in range(rows.targets.shape[-1])])
    keys = pl.DataFrame({"part": rows.part, "bucket": rows.buckets}).hstack(rated)
    counted = keys.group_by(keys.columns).len().filter(pl.col("len") > kept_rows)
    return frozenset(
        GroupKey(rows.parts[part][0], rows.parts[part][1], bucket, tuple(pattern))
        for part, bucket, *pattern, _ in counted.iter_rows()
    )


def shards_of(store: FeatureStore, rows: RatedRows) -> list[Shard]:
    """The store's shards that hold features of these rows, in their order."""
    wanted = KeyIndex(rows.keys)
    free = np.ones(len(rows.keys), dtype=np.bool_)
    shards = []
    for entry in store.entries:
        found = wanted.find(SealedShard(store.folder, entry, store.description).index().keys)
        found = found[found >= 0]
        if len(chosen := found[free[found]]):
            free[chosen] = False
            shards.append(Shard(entry.shard.stem, chosen, rows.with_keys(chosen).digest()))
    return shards


def plan_segments(
    folder: Path, shards: Sequence[Shard], wanted: GramStatistics, fingerprint: str, workers: int, large: int
) -> list[Segment]:
    """All shards in segments, those whose sums are saved among them, in the order of their first shards.

    Args:
        folder: holds saved segments; what is of no use is removed.
        shards: as `shards_of`.
        wanted: statistics without rows, of the kind that the sums are for.
        fingerprint: digest of the features' fingerprint.
        workers: number of processes.
        large: number of groups that have more rows than are kept.
    """
    free = {shard.name: shard for shard in shards}
    segments = []
    for path in sorted(folder.glob("*/")):  # no two hold the same shard
        names = _usable(path, free, wanted, fingerprint)
        if names:
            segments.append(Segment(path, tuple(free.pop(name) for name in names), saved=True))
        else:
            shutil.rmtree(path)
    for run in _runs(shards, workers, large):
        if rest := tuple(shard for shard in run if shard.name in free):
            name = digest_of([(shard.name, shard.digest) for shard in rest])[:16]
            segments.append(Segment(folder / name, rest, saved=False))
    place = {shard.name: number for number, shard in enumerate(shards)}
    return sorted(segments, key=lambda segment: min(place[shard.name] for shard in segment.shards))


def _runs(shards: Sequence[Shard], workers: int, large: int) -> list[list[Shard]]:
    """Consecutive shards with about as many features in each run, and as many runs for each worker."""
    sizes = np.array([len(shard.chosen) for shard in shards])
    each = max(1, round(sizes.sum() / (workers * ROWS_A_MATRIX * max(1, large))))
    middles = np.cumsum(sizes) - sizes / 2
    numbers = (middles / sizes.sum() * workers * each).astype(np.int64)  # (shards,)
    return [[shards[int(at)] for at in np.flatnonzero(numbers == number)] for number in np.unique(numbers)]


def saved_shards(folder: Path) -> Set[str]:
    """The shards whose sums lie in a segment's folder, whether it is finished or not."""
    try:
        return load_statistics(folder).origin.rows.keys()
    except (FileNotFoundError, StatisticsDamageError):
        return set()


def _usable(path: Path, free: Mapping[str, Shard], wanted: GramStatistics, fingerprint: str) -> list[str]:
    """The shards of a saved segment, where its sums are those of rows that are wanted; else nothing."""
    try:
        saved = load_statistics(path)
        for group in saved.statistics.groups.values():
            group.check()
    except FileNotFoundError:  # the run was ended before the segment was whole
        return []
    except StatisticsDamageError as damage:
        log.warning("%s; its shards are summed again", damage.problem)
        return []
    found = saved.statistics
    same = (found.objectives, found.layout, found.layers) == (wanted.objectives, wanted.layout, wanted.layers)
    if not same or saved.origin.fingerprint != fingerprint:
        return []
    rows = saved.origin.rows
    return list(rows) if all(name in free and free[name].digest == digest for name, digest in rows.items()) else []
