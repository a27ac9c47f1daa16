"""`armorm extract`: every data set of a recipe through the backbone, once."""

import logging
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cache import UserError
from cache.worker import ALONE, Worker
from extract.engines import ENGINES
from pipelines.extract_summary import show
from pipelines.terminal import (
    JsonOption,
    RecipeOption,
    choice,
    finish,
    interrupted_by_termination,
    open_run,
    reporting,
)

if TYPE_CHECKING:
    import torch

    from cache import FeatureStore
    from cache.progress import Progress
    from extract.backbone import Backbone
    from extract.collect import Collected
    from extract.engines.engine import Engine
    from extract.found_datasets import FoundDatasets
    from extract.results import Extract
    from extract.run import Outcome
    from extract.settings import EngineName
    from pipelines.recipe import Recipe
    from pipelines.run import Run

log = logging.getLogger(__name__)

EXAMPLE = "armorm extract --recipe recipes/demo.toml --limit 100"


def command(
    recipe: RecipeOption,
    data_root: Annotated[
        Path | None, typer.Option(help="Read DIR/org/name/file instead of the hub.", metavar="DIR")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Raw rows to read of each data set.")] = None,
    engine: Annotated[str | None, choice(ENGINES, "In place of the recipe's.")] = None,
    worker: Annotated[
        str,
        typer.Option(
            help="Compute the part of one of N workers and write no tables: 1/N to N/N, or 'auto' for the number that"
            " torchrun or a SLURM array gives. When all parts are stored, a run without --worker writes the tables.",
            metavar="I/N",
        ),
    ] = "1/1",
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that compute, each with a GPU of its own, or CPUs where there is none; more than one"
            " needs Ray (`pip install -e '.[ray]'`).",
        ),
    ] = 1,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Look at files, scales and disks first, as `armorm check` does, and stop at a problem.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Run every data set of a recipe through the backbone once, into the feature store."""
    run = open_run(recipe)
    from extract.worker_number import read_worker

    part = read_worker(worker, workers)
    # The parts of several workers share a run, in which they write nothing.
    held = run.writing() if part == ALONE else nullcontext()
    with held, reporting() as progress, interrupted_by_termination():
        result = extract(
            run,
            data_root=data_root,
            limit=limit,
            engine=engine,
            worker=part,
            workers=workers,
            check=check,
            progress=progress,
        )
    finish(result, as_json, lambda: show(result, run))


def extract(
    run: "Run",
    *,
    data_root: Path | None = None,
    limit: int | None = None,
    engine: "EngineName | None" = None,
    worker: Worker = ALONE,
    workers: int = 1,
    check: bool = True,
    progress: "Progress",
) -> "Extract":
    """Read, encode, compute the features that the store lacks, and write the run's tables.

    Args:
        run: of the recipe.
        data_root: in place of the recipe's.
        limit: most raw rows to read of each data set.
        engine: in place of the recipe's.
        worker: computes its part of the features and writes no tables; the run of the whole does.
        workers: processes that compute; more than one by way of Ray.
        check: whether to look at a few rows of every data set first, and to stop at a problem.
        progress: told bytes fetched, rows read and tokens computed.

    Raises:
        UserError: a data set or the backbone is missing or unusable, or the run's folder belongs to other features.
    """
    from cache import FeatureStore
    from cache.ray_cluster import address_of
    from extract.backbone import find_backbone
    from extract.check.run import backbone_unless_problems
    from extract.collect import collect
    from extract.engines.choice import choose_device, in_place_of_packed
    from extract.engines.loader import EngineLoader
    from extract.engines.packed_attention import CannotPackError
    from extract.ray.workers import Workers, fill_with_workers
    from extract.results import Extract, count_rows
    from extract.run import fill
    from extract.splits import undivided
    from extract.templating import ConversationEncoder
    from extract.tokens.kept_encoder import digest_of_encoder
    from extract.tokens.token_files import TokenFiles
    from extract.unusable import without_skipped
    from heads.pairs.margin_weights import refuse_without_margins
    from pipelines.artefacts import SKIPPED
    from pipelines.commands.check import planned
    from pipelines.moved_backbone import names_of
    from pipelines.recipe_checks import DERIVED

    started = time.monotonic()
    recipe = run.recipe
    several = Workers(workers, recipe.extract.device, address_of(recipe.extract.ray_address)) if workers > 1 else None
    if several is None:
        device = _name(choose_device(recipe.extract.device))
    else:
        several.check()
        device = str(several)
    if check:
        backbone = backbone_unless_problems(planned(run, data_root, limit), progress)
    else:
        backbone = find_backbone(recipe.backbone, progress)
    chosen, packing_failed = _engine(run, engine or recipe.extract.engine, backbone)
    fingerprint = backbone.fingerprint(recipe.backbone, recipe.store.dtype, chosen)
    run.make_folder()
    _refuse_other_features(run, fingerprint.digest)
    if recipe.heads.taken_from is not None:  # before the pass rather than after it
        run.taken_heads.check(fingerprint, recipe.debiasing.verbosity)
    encoder = ConversationEncoder(backbone.tokenizer, recipe.backbone, backbone.vocabulary)
    found = find(run, data_root or recipe.data_root, limit, progress)
    for line in encoder.facts.lines():
        log.info("%s", line)
    derived = [pairs for pairs in recipe.pairs if pairs.source == DERIVED and pairs.ratings not in found.missing]
    objectives = [objective.name for objective in recipe.objectives]
    tokens = TokenFiles(recipe.store.root, digest_of_encoder(encoder, recipe.backbone))
    collected = collect(found.datasets, derived, objectives, encoder, recipe.split, progress, tokens)
    log.info(
        "%s distinct sequences, %s unique tokens, %s rows skipped so far",
        f"{len(collected.request.keys()):,}",
        f"{collected.request.tokens():,}",
        f"{len(collected.skipped):,}",
    )
    if not len(collected.request.keys()):
        raise UserError(_nothing_to_compute(collected))
    for sentence in undivided({"ratings": collected.tables.examples, "pairs": collected.tables.pairs}, recipe.split):
        log.warning("%s", sentence)
    refuse_without_margins(collected.tables.pairs, recipe.weighted_by_margin)  # before the pass rather than after it

    how: dict[str, Any] = {
        "pack_tokens": recipe.extract.pack_tokens,
        "shard_rows": recipe.store.shard_rows,
        "shard_seconds": recipe.store.shard_seconds,
        "progress": progress,
    }

    def filled() -> "tuple[FeatureStore, Outcome] | str":
        """The store with every feature, and the figures of the pass; or why the backbone cannot be packed."""
        store = FeatureStore.create(recipe.store.root, fingerprint, backbone.hidden_size, recipe.store.format)
        try:
            if several is None:
                load = partial(_load, chosen, backbone, recipe)
                return store, fill(store, collected.request, load, worker=worker, **how)
            load_remote = EngineLoader.of(chosen, backbone, recipe.backbone, recipe.extract).on
            return store, fill_with_workers(store, collected.request, load_remote, several, **how)
        except CannotPackError as error:
            return error.reason

    done = filled()
    if isinstance(done, str):
        packing_failed = done
        chosen = in_place_of_packed(packing_failed)
        fingerprint = backbone.fingerprint(recipe.backbone, recipe.store.dtype, chosen)
        _refuse_other_features(run, fingerprint.digest)
        done = filled()
    assert not isinstance(done, str), "only packs can fail to pack"
    store, outcome = done
    tables = without_skipped(collected.tables, store.skipped, collected.skipped)
    counts = count_rows(collected.kinds, tables, collected.skipped, collected.forms)
    result = Extract(
        rows=sum(count.rows for count in counts.values()),
        unique_tokens=collected.request.tokens(),
        tokens_computed=outcome.tokens_computed,
        features_new=outcome.features_new,
        features_reused=outcome.features_reused,
        skipped=len(collected.skipped),
        seconds=time.monotonic() - started,
        seconds_extracting=outcome.seconds,
        device=device,
        engine=chosen,
        worker=str(worker),
        fingerprint=fingerprint.digest,
        store=str(store.folder),
        limit=limit,
        missing=found.missing,
        revisions=found.revisions,
        backbone=names_of(run.settings),
        backbone_licence=backbone.licence,
        licences=found.licences,
        datasets=counts,
        template=encoder.facts,
        packing_failed=packing_failed,
        overlap=collected.overlap,
    )
    if worker == ALONE:
        collected.skipped.write(run.path(SKIPPED))
        run.write_extract(result, tables)
    else:
        log.info("worker %s is done; when all are, run extract without --worker: it writes the tables", worker)
    return result


def _nothing_to_compute(collected: "Collected") -> str:
    reasons = {name: next(iter(collected.skipped.reasons(name)), "it has no rows") for name in collected.kinds}
    why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return f"not one row of the recipe's data sets can be used ({why}): correct `source`, `path` or `files`"


def _engine(run: "Run", wanted: "EngineName", backbone: "Backbone") -> "tuple[EngineName, str | None]":
    """The engine to run, and why packing failed in an earlier extraction of this run, so that it is not tried again."""
    from extract.engines.choice import choose_engine, in_place_of_packed

    engine = choose_engine(wanted, backbone)
    earlier = run.earlier_extract()
    reason = earlier.packing_failed if earlier is not None else None
    if engine == "packed" and earlier is not None and reason:
        padded = backbone.fingerprint(run.recipe.backbone, run.recipe.store.dtype, "padded")
        if earlier.fingerprint == padded.digest:
            return in_place_of_packed(reason), reason
    return engine, None


def _load(engine: "EngineName", backbone: "Backbone", recipe: "Recipe") -> "Engine":
    from extract.engines import ENGINES
    from extract.engines.choice import choose_device

    device = choose_device(recipe.extract.device)
    log.info("loading %s on %s with the %s engine", recipe.backbone.model, device, engine)
    return ENGINES[engine](backbone, recipe.backbone, recipe.extract, device)


def _refuse_other_features(run: "Run", fingerprint: str) -> None:
    earlier = run.earlier_extract()
    if earlier is not None and earlier.fingerprint != fingerprint:
        raise UserError(
            f"{run.folder} belongs to features with the fingerprint {earlier.fingerprint}, this recipe's is"
            f" {fingerprint}: give the recipe another name, or remove that folder"
        )


def find(run: "Run", data_root: Path | None, limit: int | None, progress: "Progress") -> "FoundDatasets":
    """Find the data sets of a run's recipe.

    Raises:
        UserError: as `extract.found_datasets.find_datasets`.
    """
    from extract.found_datasets import find_datasets

    recipe, earlier = run.recipe, run.earlier_extract()
    return find_datasets(
        recipe.datasets_read,
        recipe.ranges,
        data_root=data_root,
        limit=limit,
        revisions=earlier.revisions if earlier is not None else {},
        refuse_missing=recipe.missing_datasets == "refuse",
        progress=progress,
    )


def _name(device: "torch.device") -> str:
    from torch import cuda

    return cuda.get_device_name(device) if device.type == "cuda" else str(device)
