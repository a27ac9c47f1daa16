"""`armorm cache status`: the feature store, and what it holds of each data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import JsonOption, console, finish, open_run

if TYPE_CHECKING:
    from cache.keys import Keys
    from pipelines.results import CacheStatus
    from pipelines.run import Run

EXAMPLE = "armorm cache status --recipe recipes/demo.toml"

StoreRecipeOption = Annotated[Path, typer.Option("--recipe", help="The TOML file that names the features.")]


def command(recipe: StoreRecipeOption, as_json: JsonOption = False) -> None:
    """Count rows, features, what is missing and bytes, by data set."""
    result = status(open_run(recipe))
    finish(result, as_json, lambda: show(result))


def store_folder(run: "Run") -> Path:
    """The folder of a recipe's store, whether or not it can be opened.

    Without a finished extraction the fingerprint is computed from the backbone, as extraction does.

    Raises:
        UserError: no extraction was finished, and the backbone cannot be found either.
    """
    root = run.recipe.store.root
    if (earlier := run.earlier_extract()) is not None:
        return root / earlier.fingerprint
    from extract.backbone import find_backbone  # takes seconds to import, and is not needed after an extraction

    settings = run.recipe.backbone
    engine = run.recipe.extract.engine
    return root / find_backbone(settings).fingerprint(settings, run.recipe.store.dtype, engine).digest


def status(run: "Run") -> "CacheStatus":
    """Describe the store, and count the features of each data set. Reads no feature.

    Data sets are known once an extraction was finished; before that the store alone is described.

    Raises:
        UserError: there is no store, it is damaged, or the run was made with other settings.
    """
    from dataclasses import asdict

    from cache import FeatureStore
    from cache.leftovers import find_leftovers
    from cache.sealed_shard import shard_path
    from pipelines.results import CacheStatus, DatasetFeatures, Leftovers

    datasets: dict[str, DatasetFeatures] = {}
    if run.earlier_extract() is not None:
        store = run.store
        for name, kind, rows, keys in dataset_keys(run):
            missing = int(store.missing(keys).sum())
            skipped = sum(key.tobytes() in store.skipped for key in (keys if store.skipped else ()))
            features = len(keys) - missing - skipped
            datasets[name] = DatasetFeatures(
                kind=kind,
                rows=rows,
                features=features,
                missing=missing,
                skipped=run.extracted.datasets[name].skipped,
                bytes=features * store.row_bytes,
                fingerprint=store.fingerprint.digest,
                engine=store.fingerprint.engine,
            )
    else:
        folder = store_folder(run)
        store = FeatureStore.open(folder.parent, folder.name)
    found = find_leftovers(store.folder, store.entries)
    left = [*(shard_path(store.folder, name) for name in found.shards), *found.unfinished]
    return CacheStatus(
        store=str(store.folder),
        format=store.description.format,
        features=len(store),
        shards=len(store.entries),
        skipped=len(store.skipped),
        bytes=sum(entry.bytes for entry in store.entries),
        payload_bytes=len(store) * store.row_bytes,
        leftovers=Leftovers(len(left), sum(path.stat().st_size for path in left)),
        missing=sum(dataset.missing for dataset in datasets.values()),
        layers=list(store.fingerprint.layers),
        hidden_size=store.hidden_size,
        dtype=store.dtype,
        engine=store.fingerprint.engine,
        fingerprint={"digest": store.fingerprint.digest, **asdict(store.fingerprint)},
        extracted=bool(datasets),
        datasets=datasets,
    )


def dataset_keys(run: "Run") -> "Iterator[tuple[str, str, int, Keys]]":
    """Name, kind, rows and distinct keys (n, 16) of each data set of a run."""
    import polars as pl

    from cache.keys import key_column
    from extract.tables import KEY_COLUMNS
    from pipelines.artefacts import TABLE_OF

    for table, columns in KEY_COLUMNS.items():
        frame = run.table(TABLE_OF[table])
        name = "suite" if table == "suites" else "dataset"
        kind = {"examples": "ratings", "suites": "suite"}.get(table, table)
        for (dataset,), part in frame.group_by(name, maintain_order=True):
            keys = pl.concat([part[column].rename("key") for column in columns])
            rows = part.select("subset", "row").n_unique() if table == "suites" else len(part)
            yield str(dataset), kind, rows, key_column(keys.drop_nulls().unique(maintain_order=True))


def show(result: "CacheStatus") -> None:
    """Print one line per data set, and one about the store."""
    from rich.table import Table

    out = console()
    if result.extracted:
        table = Table("data set", "kind", title=f"features by data set: {result.store}")
        for heading in ("rows", "features", "missing", "skipped", "MB", "fingerprint", "engine"):
            table.add_column(heading, justify="right")
        for name, dataset in result.datasets.items():
            counts = (f"{count:,}" for count in (dataset.rows, dataset.features, dataset.missing, dataset.skipped))
            table.add_row(
                name, dataset.kind, *counts, f"{dataset.bytes / 1e6:,.1f}", dataset.fingerprint, dataset.engine
            )
        out.print(table)
        out.print("a feature that several data sets share is counted at each of them, and stored once")
    else:
        out.print("no extraction of this recipe was finished yet: this is what its store holds so far")
    out.print(
        f"{result.store}: {result.features:,} features in {result.shards:,} {result.format} shards,"
        f" {len(result.layers)} × {result.hidden_size:,} {result.dtype}; {result.bytes / 1e6:,.1f} MB,"
        f" {result.bytes / max(1, result.payload_bytes):.3f} of the payload",
        highlight=False,
    )
    if result.skipped:
        out.print(f"{result.skipped:,} keys have features that {result.dtype} cannot hold")
    if result.leftovers.files:
        left = result.leftovers
        out.print(f"{left.files} files of an interrupted run ({left.bytes / 1e6:,.1f} MB) are not part of it")
