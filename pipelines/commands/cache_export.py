"""`armorm cache export`: a recipe's features as plain files, and the rows that each belongs to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.commands.cache_status import StoreRecipeOption
from pipelines.terminal import JsonOption, choice, console, finish, open_run, reporting

if TYPE_CHECKING:
    import polars as pl

    from cache.progress import Progress
    from pipelines.results import CacheExport
    from pipelines.run import Run

EXAMPLE = "armorm cache export --recipe recipes/demo.toml --format npy --dataset helpsteer"


def command(
    recipe: StoreRecipeOption,
    export_format: Annotated[
        str, choice(("npy", "safetensors", "parquet"), "File format of the features.", "--format")
    ] = "parquet",
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default `runs/<recipe>/features`.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="This data set alone; may be given again.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a recipe's features as plain files, and rows.parquet: data set, row, tokens, place of the feature."""
    run = open_run(recipe)
    with reporting() as progress:
        result = export(run, export_format, out, dataset, progress)
    finish(result, as_json, lambda: show(result))


def export(
    run: "Run", export_format: str, out: Path | None, datasets: Sequence[str] | None, progress: "Progress"
) -> "CacheExport":
    """Write every feature that the data sets need once, in shard order, and `rows.parquet`.

    `rows.parquet` has one line per use of a feature: dataset, row, role (prompt, response, chosen,
    rejected), tokens (length of the sequence behind the feature), key, feature (its index in the file).

    Args:
        run: of the recipe.
        export_format: a name in `cache.export.EXPORTS`.
        out: folder to write; the run's own if None.
        datasets: names; all of the recipe's if None or empty.
        progress: told the number of features.

    Raises:
        UserError: nothing was extracted, a data set is not in the run, or features are missing or damaged.
    """
    import polars as pl

    from cache.durable import write_frame
    from cache.export import EXPORTS
    from cache.keys import KeyIndex, key_column
    from pipelines.artefacts import FEATURE_ROWS, FEATURES, TABLES
    from pipelines.results import CacheExport

    store = run.store
    folder = out or run.path(FEATURES)
    rows = _rows(run)
    known = rows["dataset"].unique(maintain_order=True).to_list()
    for name in datasets or ():
        if name not in known:
            raise UserError(f"--dataset {name} is not in {run.path(TABLES)}: name one of {', '.join(known)}")
    if datasets:
        rows = rows.filter(pl.col("dataset").is_in(list(datasets)))
    used = key_column(rows["key"])
    keys = store.in_shard_order(used)
    files = EXPORTS[export_format](store, keys, folder, progress)
    rows = rows.with_columns(
        tokens=pl.Series(store.n_tokens(used), dtype=pl.Int32),
        feature=pl.Series(KeyIndex(keys).find(used), dtype=pl.Int64),
    )
    table = folder / FEATURE_ROWS
    write_frame(table, rows.select("dataset", "row", "role", "tokens", "key", "feature"))
    return CacheExport(
        files=[str(path) for path in (*files, table)],
        features=len(keys),
        shape=[len(keys), store.layers, store.hidden_size],
        rows=len(rows),
        datasets=known if not datasets else list(dict.fromkeys(datasets)),
        bytes=sum(path.stat().st_size for path in files),
        fingerprint=store.fingerprint.digest,
    )


def _rows(run: "Run") -> "pl.DataFrame":
    """One line per use of a feature: dataset, row, role, key."""
    import polars as pl

    from extract.tables import KEY_COLUMNS
    from pipelines.artefacts import TABLE_OF

    parts = []
    for table, columns in KEY_COLUMNS.items():
        frame = run.table(TABLE_OF[table])
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


def show(result: "CacheExport") -> None:
    """Print the files, and their size."""
    out = console()
    shape = " × ".join(f"{size:,}" for size in result.shape)
    out.print(f"{shape} features ({result.bytes / 1e6:,.1f} MB) for {result.rows:,} uses by rows:")
    for path in result.files:
        out.print(f"  {path}", highlight=False)
