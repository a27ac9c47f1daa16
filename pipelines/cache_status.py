"""`armorm cache status` and `verify`: which store a recipe means, and what it holds of each data set."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from cache import FeatureStore
from cache.keys import Keys, key_column
from cache.verify import Findings, leftovers
from extract.tables import read_table
from pipelines.artefacts import open_run, read_json
from pipelines.recipe import Recipe

KEY_COLUMNS = {
    "examples": ("prompt_key", "response_key"),
    "pairs": ("prompt_key", "chosen_key", "rejected_key"),
    "suites": ("prompt_key", "response_key"),
}
"""Table of a run -> its columns of keys. In `suites` the data set is called suite."""


def store_folder(recipe: Recipe) -> Path:
    """The folder of a recipe's store, whether or not it can be opened.

    Without a finished extraction the fingerprint is taken from the backbone, as extraction does.

    Raises:
        UserError: no extraction was finished, and the backbone cannot be found either.
    """
    path = recipe.folder / "extract.json"
    if path.exists():
        return recipe.store.root / str(read_json(path, "extract").get("fingerprint"))
    from extract.backbone import find_backbone  # takes seconds to import, and is not needed after an extraction

    fingerprint = find_backbone(recipe.backbone).fingerprint(recipe.backbone, recipe.store.dtype, recipe.extract.engine)
    return recipe.store.root / fingerprint.digest


def status(recipe: Recipe) -> dict[str, Any]:
    """What the store holds, and what it holds of each data set. Reads no feature.

    Data sets are known once an extraction was finished; before that the store alone is described.

    Raises:
        UserError: there is no store, it is damaged, or the run was made with other settings.
    """
    datasets: dict[str, Any] = {}
    if (recipe.folder / "extract.json").exists():
        run, store = open_run(recipe)
        for name, kind, rows, keys in dataset_keys(recipe):
            missing = int(store.missing(keys).sum())
            there = len(keys) - missing - sum(key.tobytes() in store.skipped for key in (keys if store.skipped else ()))
            datasets[name] = {
                "kind": kind,
                "rows": rows,
                "features": there,
                "missing": missing,
                "skipped": run["datasets"][name]["skipped"],
                "bytes": there * store.row_bytes,
                "fingerprint": store.fingerprint.digest,
                "engine": store.fingerprint.engine,
            }
    else:
        folder = store_folder(recipe)
        store = FeatureStore.open(folder.parent, folder.name)
    left = leftovers(store.folder, store.entries)
    return {
        "store": str(store.folder),
        "format": store.description.format,
        "features": len(store),
        "shards": len(store.entries),
        "skipped": len(store.skipped),
        "bytes": sum(entry.bytes for entry in store.entries),
        "payload_bytes": len(store) * store.row_bytes,
        "leftovers": {"files": len(left), "bytes": sum(path.stat().st_size for path in left)},
        "missing": sum(dataset["missing"] for dataset in datasets.values()),
        "layers": list(store.fingerprint.layers),
        "hidden_size": store.hidden_size,
        "dtype": store.dtype,
        "engine": store.fingerprint.engine,
        "fingerprint": {"digest": store.fingerprint.digest, **asdict(store.fingerprint)},
        "extracted": bool(datasets),
        "datasets": datasets,
    }


def dataset_keys(recipe: Recipe) -> list[tuple[str, str, int, Keys]]:
    """For each data set of a run: name, kind, rows, and its distinct keys (n, 16)."""
    found: list[tuple[str, str, int, Keys]] = []
    for table, columns in KEY_COLUMNS.items():
        frame = read_table(recipe.folder / "tables", table)
        name = "suite" if table == "suites" else "dataset"
        kind = {"examples": "ratings", "suites": "suite"}.get(table, table)
        for (dataset,), part in frame.group_by(name, maintain_order=True):
            keys = (
                pl.concat([part[column].rename("key") for column in columns]).drop_nulls().unique(maintain_order=True)
            )
            rows = part.select("subset", "row").n_unique() if table == "suites" else len(part)
            found.append((str(dataset), kind, rows, key_column(keys)))
    return found


def findings_result(findings: Findings, folder: Path) -> dict[str, Any]:
    """What `armorm cache verify` prints with --json."""
    whole = not findings.problems or findings.repaired
    return {"store": str(folder), "whole": whole, **asdict(findings)}
