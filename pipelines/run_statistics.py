"""The statistics of a run: made in one pass over the stored features, and afterwards brought up to date."""

import hashlib
import logging
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cache import FeatureStore, UserError
from cache.keys import unique_keys
from cache.prefetch import prefetched
from cache.progress import Progress
from extract.tables import read_table
from heads.ridge.files import FOLDER, INDEX, load_statistics, save_statistics
from heads.ridge.statistics import GramStatistics
from heads.ridge.stored_arrays import StatisticsDamageError
from heads.ridge.subset import FRACTIONS, TRAIN
from pipelines.artefacts import read_json
from pipelines.recipe import Recipe

log = logging.getLogger(__name__)


def read_statistics(recipe: Recipe) -> GramStatistics:
    """The statistics that `armorm fit-heads` saved for this recipe's rows; opens no feature shard.

    Raises:
        UserError: there are none, they are of other rows or settings, or they are damaged.
    """
    path = recipe.folder / INDEX
    try:
        statistics, about = load_statistics(recipe.folder)
    except FileNotFoundError:
        raise UserError(f"there is no {path}: run `armorm fit-heads` first") from None
    fingerprint = read_json(recipe.folder / "extract.json", "extract").get("fingerprint")
    if about != _about(recipe, read_table(recipe.folder / "tables", "examples"), fingerprint):
        raise UserError(f"{path} is of other rows or settings: run `armorm fit-heads` again")
    return statistics


def update_statistics(
    recipe: Recipe, fingerprint: str, store: FeatureStore, examples: pl.DataFrame, progress: Progress
) -> tuple[GramStatistics, dict[str, int]]:
    """Statistics of all rated rows, saved beside the run; reads the features of changed data sets alone.

    Returns:
        The statistics, and how many responses were read and how many needed no reading.
    """
    about = _about(recipe, examples, fingerprint)
    statistics = _empty(recipe, store)
    kept: set[str] = set()
    known: dict[str, Any] = {}
    try:
        saved, known = load_statistics(recipe.folder)
        kept = _still_true(saved, statistics, known, about)
        statistics.groups |= {key: saved.groups[key] for key in saved.groups if f"{key.dataset}/{key.split}" in kept}
    except FileNotFoundError:
        pass
    except StatisticsDamageError as damage:
        log.warning("%s; all statistics are made anew", damage.problem)
    parts = examples.select(part=pl.col("dataset") + "/" + pl.col("split"))["part"]
    rows = np.flatnonzero(~parts.is_in(sorted(kept)).to_numpy())
    if len(rows) or known != about:
        add_rows(statistics, store, examples[rows], targets_of(recipe, examples[rows]), progress)
        save_statistics(recipe.folder, statistics, about)
    return statistics, {"rows_read": len(rows), "rows_reused": len(examples) - len(rows)}


def add_rows(
    statistics: GramStatistics,
    store: FeatureStore,
    examples: pl.DataFrame,
    targets: NDArray[np.float64],
    progress: Progress,
) -> None:
    """One pass over the features of the table's responses; the next ones are read while these are multiplied.

    Args:
        statistics: take the rows in.
        store: holds the features.
        examples: rows of the table `examples`.
        targets: (n, k) of these rows, NaN where not rated.
        progress: told the number of responses done.
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


def targets_of(recipe: Recipe, examples: pl.DataFrame) -> NDArray[np.float64]:
    """Regression targets of the table's rows. Shape (n, k), NaN where not rated."""
    targets = np.full((len(examples), len(recipe.objectives)), np.nan)
    datasets = examples["dataset"].to_numpy()
    for ratings in recipe.ratings:
        rows = np.flatnonzero(datasets == ratings.name)
        for number, objective in enumerate(recipe.objectives):
            raw = examples[objective.name].to_numpy()[rows]  # null comes as NaN
            targets[rows, number] = recipe.scale_of(ratings, objective).target(raw)
    return targets


def _buckets(examples: pl.DataFrame) -> NDArray[np.int64]:
    """Place in `FRACTIONS` of the smallest share that holds each row's prompt. Shape (n,).

    A prompt's key is a digest, so its first byte is as good as a random number. Only training rows are
    learned from, so only they are cut into shares.
    """
    uniform = np.array([key[0] for key in examples["prompt_key"]], dtype=np.float64) / 256.0  # (n,) in [0, 1)
    buckets = np.searchsorted(FRACTIONS, uniform, side="right")
    return np.where(examples["split"].to_numpy() == TRAIN, buckets, 0)


def _empty(recipe: Recipe, store: FeatureStore) -> GramStatistics:
    return GramStatistics(
        tuple(objective.name for objective in recipe.objectives),
        store.layers * store.hidden_size,
        layers=store.layers,
        joint=recipe.heads.joint_layers,
        storage=store.dtype,
        spill=recipe.folder / FOLDER,
    )


def _about(recipe: Recipe, examples: pl.DataFrame, fingerprint: Any) -> dict[str, Any]:
    """What statistics are of: the features' fingerprint, and a digest of each data set's rows and targets."""
    digests = {}
    targets = targets_of(recipe, examples)
    buckets = _buckets(examples)
    numbered = examples.with_row_index("number")
    for (dataset, split), rows in numbered.group_by(["dataset", "split"]):
        numbers = np.sort(rows["number"].to_numpy())
        digest = hashlib.blake2b(digest_size=16)
        digest.update(b"".join(examples["response_key"].gather(numbers).to_list()))
        digest.update(targets[numbers].tobytes())
        digest.update(buckets[numbers].tobytes())
        digests[f"{dataset}/{split}"] = digest.hexdigest()
    return {"fingerprint": fingerprint, "rows": dict(sorted(digests.items()))}


def _still_true(
    saved: GramStatistics, wanted: GramStatistics, known: dict[str, Any], about: dict[str, Any]
) -> set[str]:
    """The parts, as dataset/split, whose saved groups are what they would be if made anew."""
    if (saved.objectives, saved.layout, saved.layers) != (wanted.objectives, wanted.layout, wanted.layers):
        return set()
    if known.get("fingerprint") != about["fingerprint"]:
        return set()
    same = {part for part, digest in about["rows"].items() if known["rows"].get(part) == digest}
    for key, group in saved.groups.items():
        part = f"{key.dataset}/{key.split}"
        if part in same:
            try:
                group.check()
            except StatisticsDamageError as damage:
                log.warning("%s; the statistics of %s are made anew", damage.problem, part)
                same.discard(part)
    return same
