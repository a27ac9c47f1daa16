"""`armorm extract`: every data set of a recipe through the backbone, once."""

import logging
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cache import FeatureStore, UserError
from cache.progress import Progress
from cache.worker import ALONE, Worker
from extract.backbone import Backbone, find_backbone
from extract.collect import Dataset, collect
from extract.engines import ENGINES
from extract.engines.choice import choose_device, choose_engine
from extract.engines.engine import Engine
from extract.engines.loader import EngineLoader
from extract.ray.cluster import address_of
from extract.ray.workers import Workers, fill_with_workers
from extract.results import Extract, count_rows
from extract.run import fill
from extract.settings import DatasetSettings, EngineName
from extract.sources import SOURCES
from extract.sources.files import MissingDatasetError, locate
from extract.templating import ConversationEncoder
from extract.unusable import without_skipped
from pipelines.artefacts import data_settings, read_json, write_json
from pipelines.recipe import DERIVED, Recipe, ScaledRatings

log = logging.getLogger(__name__)


def extract(
    recipe: Recipe,
    *,
    data_root: Path | None,
    limit: int | None,
    engine: EngineName | None,
    worker: Worker = ALONE,
    workers: int = 1,
    progress: Progress,
) -> dict[str, Any]:
    """Read, encode, compute what the store lacks, and write the run's tables.

    Args:
        recipe: the recipe.
        data_root: in place of the recipe's.
        limit: read at most this many raw rows of each data set.
        engine: in place of the recipe's.
        worker: which of several workers this process is; one of several computes its features and writes no tables.
            A run by a single worker writes them when all workers are done.
        workers: processes that compute; more than one by way of Ray.
        progress: told rows read and tokens computed.

    Returns:
        What `extract.json` holds.
    """
    started = time.monotonic()
    several = Workers(workers, recipe.extract.device, address_of(recipe.extract.ray_address)) if workers > 1 else None
    if several is None:
        where = _name(choose_device(recipe.extract.device))
    else:
        several.check()
        where = str(several)
    backbone = find_backbone(recipe.backbone)
    engine = choose_engine(engine or recipe.extract.engine, backbone)
    fingerprint = backbone.fingerprint(recipe.backbone, recipe.store.dtype, engine)
    _make_folder(recipe)
    _refuse_other_run(recipe, fingerprint.digest)
    encoder = ConversationEncoder(backbone.tokenizer, recipe.backbone, backbone.vocabulary)
    datasets, revisions, missing = _find(recipe, data_root or recipe.data_root, limit)
    derived = [pairs for pairs in recipe.pairs if pairs.source == DERIVED and pairs.ratings not in missing]
    objectives = [objective.name for objective in recipe.objectives]
    collected = collect(datasets, derived, objectives, encoder, recipe.split, progress)
    log.info(
        "%s distinct sequences, %s unique tokens, %s rows skipped so far",
        f"{len(collected.request.keys()):,}",
        f"{collected.request.tokens():,}",
        f"{len(collected.skipped):,}",
    )
    store = FeatureStore.create(recipe.store.root, fingerprint, backbone.hidden_size, recipe.store.format)
    sizes = {"pack_tokens": recipe.extract.pack_tokens, "shard_rows": recipe.store.shard_rows}
    if several is None:
        load = partial(_load, engine, backbone, recipe)
        outcome = fill(store, collected.request, load, **sizes, worker=worker, progress=progress)
    else:
        load_on = EngineLoader.of(engine, backbone, recipe.backbone, recipe.extract).on
        outcome = fill_with_workers(store, collected.request, load_on, several, **sizes, progress=progress)
    tables = without_skipped(collected.tables, store.skipped, collected.skipped)
    counts = count_rows(collected.kinds, tables, collected.skipped)
    extracted = Extract(
        rows=sum(count.rows for count in counts.values()),
        unique_tokens=collected.request.tokens(),
        tokens_computed=outcome.tokens_computed,
        features_new=outcome.features_new,
        features_reused=outcome.features_reused,
        skipped=len(collected.skipped),
        seconds=time.monotonic() - started,
        seconds_extracting=outcome.seconds,
        device=where,
        engine=engine,
        worker=str(worker),
        store=str(store.folder),
        limit=limit,
        missing=missing,
        revisions=revisions,
        datasets=counts,
    )
    result = asdict(extracted) | {"fingerprint": fingerprint.digest, "settings": data_settings(recipe)}
    if worker == ALONE:
        tables.write(recipe.folder / "tables")
        collected.skipped.write(recipe.folder / "skipped.jsonl")
        write_json(recipe.folder / "extract.json", result)
    else:
        log.info("worker %s is done; when all are, run extract without --worker: it writes the tables", worker)
    return result


def _load(engine: EngineName, backbone: Backbone, recipe: Recipe) -> Engine:
    device = choose_device(recipe.extract.device)
    log.info("loading %s on %s with the %s engine", recipe.backbone.model, device, engine)
    return ENGINES[engine](backbone, recipe.backbone, recipe.extract, device)


def _make_folder(recipe: Recipe) -> None:
    """Make the run's folder before the pass of the backbone, not after it, so that a refusal costs nothing."""
    try:
        recipe.folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{recipe.folder} cannot be a folder, for a file is in its place: move it, or give `runs` or `name`"
            " of the recipe another value"
        ) from None


def _refuse_other_run(recipe: Recipe, fingerprint: str) -> None:
    path = recipe.folder / "extract.json"
    if not path.exists():
        return
    try:
        other = read_json(path, "extract").get("fingerprint")
    except UserError as error:  # its remedy is this very command
        raise UserError(f"{str(error).partition(':')[0]}: remove it, and run `armorm extract` again") from None
    if other != fingerprint:
        raise UserError(
            f"{recipe.folder} belongs to features with the fingerprint {other}, this recipe's is {fingerprint}:"
            " give the recipe another name, or remove that folder"
        )


def _find(
    recipe: Recipe, data_root: Path | None, limit: int | None
) -> tuple[list[Dataset], dict[str, str], dict[str, str]]:
    """All data sets that are there, the commits of those from the hub, and name -> reason of those missing."""
    found: list[Dataset] = []
    revisions = _earlier_revisions(recipe)
    missing: dict[str, str] = {}
    named = [*recipe.ratings, *(pairs for pairs in recipe.pairs if pairs.source != DERIVED), *recipe.suites]
    for settings in named:
        try:
            found.append(_dataset(recipe, settings, data_root, limit, revisions))
        except MissingDatasetError as error:
            if recipe.missing_datasets == "refuse":
                raise
            missing[settings.name] = str(error)
    if not any(dataset.source.kind == "ratings" for dataset in found):
        raise UserError("none of the recipe's rating sets is there: check --data-root, or data_root in the recipe")
    return found, revisions, missing


def _earlier_revisions(recipe: Recipe) -> dict[str, str]:
    """Data set -> commit, as an earlier run of this recipe resolved them, so that a rerun reads the same rows."""
    path = recipe.folder / "extract.json"
    return dict(read_json(path, "extract").get("revisions", {})) if path.exists() else {}


def _dataset(
    recipe: Recipe,
    settings: DatasetSettings,
    data_root: Path | None,
    limit: int | None,
    revisions: dict[str, str],
) -> Dataset:
    source = SOURCES[settings.source]
    if settings.revision is None and settings.path is None and settings.name in revisions:
        settings = settings.model_copy(update={"revision": revisions[settings.name]})
    located = locate(settings, source, data_root)
    if located.revision is not None:
        revisions[settings.name] = located.revision
    if limit is not None:
        settings = settings.model_copy(update={"limit": min(limit, settings.limit or limit)})
    ranges, columns = {}, {}
    if isinstance(settings, ScaledRatings):
        scales = {objective.name: recipe.scale_of(settings, objective) for objective in recipe.objectives}
        ranges = {name: (scale.low, scale.high) for name, scale in scales.items()}
        columns = {name: settings.columns.get(name, name) for name in scales}
    return Dataset(settings, source, located.root, located.paths, ranges, columns)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
