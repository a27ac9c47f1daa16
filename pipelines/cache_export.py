"""`armorm cache export`: a recipe's features as plain files, and which data set's row each belongs to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cache import UserError
from cache.durable import replacing
from cache.export import EXPORTS
from cache.keys import KeyIndex, key_column
from cache.progress import Progress
from extract.tables import read_table
from pipelines.artefacts import open_run
from pipelines.cache_status import KEY_COLUMNS
from pipelines.recipe import Recipe


def export(
    recipe: Recipe, export_format: str, out: Path, datasets: Sequence[str] | None, progress: Progress
) -> dict[str, Any]:
    """Write every feature that the data sets need once, in shard order, and `rows.parquet` beside them.

    `rows.parquet` has one line per use of a feature: dataset, row, role (prompt, response, chosen,
    rejected), tokens (length of the sequence behind the feature), key, feature (its index in the file).

    Args:
        recipe: the recipe.
        export_format: a name in `cache.export.EXPORTS`.
        out: folder to write.
        datasets: names; all of the recipe's if None or empty.
        progress: told the number of features.

    Raises:
        UserError: nothing was extracted, a data set is not in the run, or features are missing or damaged.
    """
    _, store = open_run(recipe)
    rows = _rows(recipe)
    known = rows["dataset"].unique(maintain_order=True).to_list()
    for name in datasets or ():
        if name not in known:
            raise UserError(f"--dataset {name} is not in {recipe.folder / 'tables'}: name one of {', '.join(known)}")
    if datasets:
        rows = rows.filter(pl.col("dataset").is_in(list(datasets)))
    used = key_column(rows["key"])
    keys = store.in_shard_order(used)
    files = EXPORTS[export_format](store, keys, out, progress)
    rows = rows.with_columns(
        tokens=pl.Series(store.n_tokens(used), dtype=pl.Int32),
        feature=pl.Series(KeyIndex(keys).find(used), dtype=pl.Int64),
    )
    with replacing(out / "rows.parquet") as file:
        rows.select("dataset", "row", "role", "tokens", "key", "feature").write_parquet(file)
    return {
        "files": [str(path) for path in (*files, out / "rows.parquet")],
        "features": len(keys),
        "shape": [len(keys), store.layers, store.hidden_size],
        "rows": len(rows),
        "datasets": known if not datasets else list(dict.fromkeys(datasets)),
        "bytes": sum(path.stat().st_size for path in files),
        "fingerprint": store.fingerprint.digest,
    }


def _rows(recipe: Recipe) -> pl.DataFrame:
    """One line per use of a feature: dataset, row, role, key."""
    parts = []
    for table, columns in KEY_COLUMNS.items():
        frame = read_table(recipe.folder / "tables", table)
        if table == "suites":
            role = pl.when("chosen").then(pl.lit("chosen")).otherwise(pl.lit("rejected"))
            frame = frame.rename({"suite": "dataset"}).with_columns(response_role=role)
        for column in columns:
            role = pl.lit(column.removesuffix("_key"))
            if table == "suites" and column == "response_key":
                role = pl.col("response_role")
            part = frame.select("dataset", "row", key=column, role=role).filter(pl.col("key").is_not_null())
            parts.append(part.unique(maintain_order=True) if column == "prompt_key" else part)
    return pl.concat(parts)
