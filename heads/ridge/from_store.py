"""Sufficient statistics from stored features: one pass over the rated rows, and later only over what changed."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore
from cache.keys import unique_keys
from cache.prefetch import prefetched
from cache.progress import Progress, silent
from heads.objectives import Objective, Scale
from heads.ridge.files import FOLDER, Origin, SavedStatistics, load_statistics, save_statistics
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StatisticsDamageError
from heads.ridge.subset import FRACTIONS, TRAIN
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
    progress: Progress = silent,
) -> UpdatedStatistics:
    """Statistics of all rated rows, saved in `folder`; reads the features of changed data sets only.

    Args:
        folder: holds the statistics of an earlier call, or none.
        examples: table of rated responses, one column of raw ratings for each objective.
        objectives: the k targets.
        scales: scales that differ from the objectives' own.
        settings: say whether products between layers are summed.
        store: holds the responses' features.
        stamp: saved with the statistics, see `save_statistics`.
        progress: called with the number of responses done.
    """
    targets = targets_of(examples, objectives, scales)
    origin = _origin(examples, targets, store)
    statistics = GramStatistics(
        tuple(objective.name for objective in objectives),
        store.layers * store.hidden_size,
        layers=store.layers,
        joint=settings.joint_layers,
        storage=store.dtype,
        spill=folder / FOLDER,
    )
    saved: SavedStatistics | None = None
    reusable: set[str] = set()
    try:
        saved = load_statistics(folder)
        reusable = _reusable_parts(saved, statistics, origin)
        groups = saved.statistics.groups
        statistics.groups |= {key: groups[key] for key in groups if f"{key.dataset}/{key.split}" in reusable}
    except FileNotFoundError:
        pass
    except StatisticsDamageError as damage:
        log.warning("%s; all statistics are made anew", damage.problem)
    parts = examples.select(part=pl.col("dataset") + "/" + pl.col("split"))["part"]
    rows = np.flatnonzero(~parts.is_in(sorted(reusable)).to_numpy())
    if len(rows):
        add_rows(statistics, store, examples[rows], targets[rows], progress)
    if len(rows) or saved is None or (saved.origin, saved.stamp) != (origin, stamp):
        save_statistics(folder, statistics, origin, stamp)
    return UpdatedStatistics(statistics, len(rows), len(examples) - len(rows))


def add_rows(
    statistics: GramStatistics,
    store: FeatureStore,
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    progress: Progress = silent,
) -> None:
    """Add the table's rows in one pass over their features, which are read ahead while others are multiplied.

    Args:
        statistics: extended in place.
        store: holds the features.
        examples: rows of the table of rated responses.
        targets: (n, k) targets of these rows, NaN where not rated.
        progress: called with the number of responses done.
    """
    parts = examples.select("dataset", "split", part=pl.struct("dataset", "split").rank("dense"))
    part = parts["part"].to_numpy()
    names = {number: (dataset, split) for dataset, split, number in parts.unique().iter_rows()}
    buckets = _buckets(examples)
    keys, (places,) = unique_keys(examples["response_key"])
    rows_of = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[rows_of], np.arange(len(keys) + 1))  # a key's rows: rows_of[start:next]
    done = 0
    for positions, features in prefetched(store.stream(keys)):
        counts = starts[positions + 1] - starts[positions]
        rows = np.concatenate([rows_of[starts[at] : starts[at + 1]] for at in positions])
        flat = features.reshape(len(features), -1)  # (b, layers * d)
        if (counts > 1).any():
            flat = np.repeat(flat, counts, axis=0)  # (rows, layers * d)
        for number in np.unique(part[rows]):
            chosen = part[rows] == number
            some = rows[chosen]
            statistics.add(*names[number], flat if chosen.all() else flat[chosen], targets[some], buckets[some])
        done += len(positions)
        progress("summing features", done, len(keys), "rows")
    statistics.flush()


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


def _origin(examples: pl.DataFrame, targets: NDArray[np.float64], store: FeatureStore) -> Origin:
    digests = {}
    buckets = _buckets(examples)
    numbered = examples.with_row_index("number")
    for (dataset, split), rows in numbered.group_by(["dataset", "split"]):
        numbers = np.sort(rows["number"].to_numpy())
        digest = hashlib.blake2b(digest_size=16)
        digest.update(b"".join(examples["response_key"].gather(numbers).to_list()))
        digest.update(targets[numbers].tobytes())
        digest.update(buckets[numbers].tobytes())
        digests[f"{dataset}/{split}"] = digest.hexdigest()
    return Origin(store.fingerprint.digest, dict(sorted(digests.items())))


def _reusable_parts(saved: SavedStatistics, wanted: GramStatistics, origin: Origin) -> set[str]:
    """Parts (data set/split) whose saved groups equal those that a new pass would give."""
    known = saved.statistics
    if (known.objectives, known.layout, known.layers) != (wanted.objectives, wanted.layout, wanted.layers):
        return set()
    if saved.origin.fingerprint != origin.fingerprint:
        return set()
    same = {part for part, digest in origin.rows.items() if saved.origin.rows.get(part) == digest}
    for key, group in known.groups.items():
        part = f"{key.dataset}/{key.split}"
        if part in same:
            try:
                group.check()
            except StatisticsDamageError as damage:
                log.warning("%s; the statistics of %s are made anew", damage.problem, part)
                same.discard(part)
    return same
