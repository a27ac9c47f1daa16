"""Sufficient statistics from stored features: one pass over the rated rows, and later only over what is new."""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import Keys, unique_keys
from cache.progress import Progress, silent
from heads.objectives import Objective, Scale
from heads.ridge.files import FOLDER, Origin, SavedStatistics, load_statistics, save_statistics
from heads.ridge.products import Device
from heads.ridge.rated_rows import RatedRows, add_rows
from heads.ridge.segments import FOLDER as UNFINISHED
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StatisticsDamageError
from heads.ridge.subset import FRACTIONS, TRAIN
from heads.ridge.summed_rows import added_rows, load_rows, row_digests, save_rows
from heads.ridge.workers import Workers, add_rows_with_workers
from heads.settings import HeadSettings

log = logging.getLogger(__name__)

Scales = Mapping[str, Mapping[str, Scale]]
"""Data set -> objective -> the scale of its ratings there, where it is not the objective's own."""


@dataclass(frozen=True, slots=True)
class UpdatedStatistics:
    """Statistics of all rated rows, and how much of the store was read for them."""

    statistics: GramStatistics
    rows_read: int
    """Responses whose features were read."""
    rows_reused: int
    """Responses whose sums were saved already."""


def update_statistics(
    folder: Path,
    examples: pl.DataFrame,
    objectives: Sequence[Objective],
    scales: Scales,
    settings: HeadSettings,
    store: FeatureStore,
    stamp: Mapping[str, str],
    workers: Workers | None = None,
    device: Device = "cpu",
    progress: Progress = silent,
) -> UpdatedStatistics:
    """Statistics of all rated rows, saved in `folder`; reads the features of rows that are new there.

    The rows of a data set and split that were there before stay summed while all of them are still there, unchanged;
    otherwise that part is summed anew.

    Args:
        folder: holds the statistics of an earlier call, or none.
        examples: table of rated responses, one column of raw ratings for each objective.
        objectives: the k targets.
        scales: scales that differ from the objectives' own.
        settings: say whether products between layers are summed.
        store: holds the responses' features.
        stamp: saved with the statistics, see `save_statistics`.
        workers: processes that share the sums; None: this one makes them.
        device: where float32 features are multiplied; see `heads.ridge.products`.
        progress: called with the number of responses done.

    Raises:
        UserError: a response has no feature, or one of several processes was ended from outside.
    """
    targets = targets_of(examples, objectives, scales)
    buckets = _buckets(examples)
    origin = _origin(examples, targets, buckets, store)
    statistics = GramStatistics(
        tuple(objective.name for objective in objectives),
        store.layers * store.hidden_size,
        layers=store.layers,
        joint=settings.joint_layers,
        storage=store.dtype,
        spill=folder / FOLDER,
        device=device,
    )
    saved = _saved(folder)
    parts = examples.select(part=pl.col("dataset") + "/" + pl.col("split"))["part"].to_numpy()
    missing: list[NDArray[np.int64]] = []
    digests: dict[str, Keys] = {}
    reusable = set() if saved is None else _usable_parts(saved, statistics, origin)
    for part, digest in origin.rows.items():
        before = saved.origin.rows[part] if saved is not None and part in reusable else None
        if before == digest:
            continue
        rows = np.flatnonzero(parts == part)  # (rows of the part,)
        digests[digest] = row_digests(examples["response_key"].gather(rows), targets[rows], buckets[rows])
        added = _added(folder, before, digests[digest])
        if added is None:
            reusable.discard(part)
            added = np.arange(len(rows))
        missing.append(rows[added])
    if saved is not None:
        groups = saved.statistics.groups
        statistics.groups |= {key: groups[key] for key in groups if f"{key.dataset}/{key.split}" in reusable}
    read = np.sort(np.concatenate(missing)) if missing else np.empty(0, np.int64)
    if len(read):
        rated = _rated_rows(examples[read], targets[read], buckets[read])
        if workers is None:
            total = len(rated.keys)
            add_rows(statistics, store, rated, lambda done: progress("summing features", done, total, "rows"))
        else:
            add_rows_with_workers(statistics, store, rated, folder, workers, progress)
    if missing or saved is None or (saved.origin, saved.stamp) != (origin, stamp):
        save_rows(folder, digests, origin.rows.values())
        save_statistics(folder, statistics, origin, stamp)
    if (folder / UNFINISHED).exists():
        shutil.rmtree(folder / UNFINISHED)
    return UpdatedStatistics(statistics, len(read), len(examples) - len(read))


def _saved(folder: Path) -> SavedStatistics | None:
    try:
        return load_statistics(folder)
    except FileNotFoundError:
        return None
    except StatisticsDamageError as damage:
        log.warning("%s; all statistics are made anew", damage.problem)
        return None


def _added(folder: Path, before: str | None, now: Keys) -> NDArray[np.int64] | None:
    """Positions of a part's rows that its saved sums lack; None if they cannot be told, or some are gone.

    Args:
        folder: of the statistics.
        before: digest of the rows that were summed; None: there are no sums that can be used.
        now: (n, 16) uint8, digests of the rows.
    """
    summed = None if before is None else load_rows(folder, before)
    return None if summed is None else added_rows(summed, now)


def _rated_rows(examples: pl.DataFrame, targets: NDArray[np.float64], buckets: NDArray[np.int64]) -> RatedRows:
    """Rows of the table with their targets (n, k) and buckets (n,)."""
    ranked = examples.select("dataset", "split", part=pl.struct("dataset", "split").rank("dense") - 1)
    distinct = ranked.unique().sort("part")
    keys, (places,) = unique_keys(examples["response_key"])
    return RatedRows(
        keys,
        places,
        targets,
        buckets,
        ranked["part"].to_numpy().astype(np.int64),
        tuple(zip(distinct["dataset"], distinct["split"], strict=True)),
    )


def targets_of(examples: pl.DataFrame, objectives: Sequence[Objective], scales: Scales) -> NDArray[np.float64]:
    """Regression targets of the table's rows. Shape (n, k), NaN where not rated."""
    targets = np.full((len(examples), len(objectives)), np.nan)
    datasets = examples["dataset"].to_numpy()
    for dataset in examples["dataset"].unique():
        rows = np.flatnonzero(datasets == dataset)
        for number, objective in enumerate(objectives):
            raw = examples[objective.name].to_numpy()[rows]  # null becomes NaN
            targets[rows, number] = scales.get(dataset, {}).get(objective.name, objective).target(raw)
    return targets


def _buckets(examples: pl.DataFrame) -> NDArray[np.int64]:
    """Index into `FRACTIONS` of the smallest fraction that contains each row's prompt. Shape (n,).

    A prompt's key is a digest, so its first byte is as good as a random number. Heads learn from training rows only,
    so validation rows are not divided.
    """
    uniform = np.array([key[0] for key in examples["prompt_key"]], dtype=np.float64) / 256.0  # (n,) in [0, 1)
    buckets = np.searchsorted(FRACTIONS, uniform, side="right")
    return np.where(examples["split"].to_numpy() == TRAIN, buckets, 0)


def _origin(
    examples: pl.DataFrame, targets: NDArray[np.float64], buckets: NDArray[np.int64], store: FeatureStore
) -> Origin:
    digests = {}
    numbered = examples.with_row_index("number")
    for (dataset, split), rows in numbered.group_by(["dataset", "split"]):
        numbers = np.sort(rows["number"].to_numpy())
        digest = hashlib.blake2b(digest_size=16)
        digest.update(b"".join(examples["response_key"].gather(numbers).to_list()))
        digest.update(targets[numbers].tobytes())
        digest.update(buckets[numbers].tobytes())
        digests[f"{dataset}/{split}"] = digest.hexdigest()
    return Origin(store.fingerprint.digest, dict(sorted(digests.items())))


def _usable_parts(saved: SavedStatistics, wanted: GramStatistics, origin: Origin) -> set[str]:
    """Parts (data set/split) that are wanted, and whose saved groups are whole and sums of the wanted kind."""
    known = saved.statistics
    if (known.objectives, known.layout, known.layers) != (wanted.objectives, wanted.layout, wanted.layers):
        return set()
    if saved.origin.fingerprint != origin.fingerprint:
        return set()
    usable = saved.origin.rows.keys() & origin.rows.keys()
    for key, group in known.groups.items():
        part = f"{key.dataset}/{key.split}"
        if part in usable:
            try:
                group.check()
            except StatisticsDamageError as damage:
                log.warning("%s; the statistics of %s are made anew", damage.problem, part)
                usable.discard(part)
    return usable
