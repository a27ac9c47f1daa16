"""Removal of table rows whose features could not be stored."""

import polars as pl

from extract.records import Skipped
from extract.skipped import SkippedRows
from extract.tables import SUITES, Tables


def without_skipped(tables: Tables, keys: dict[bytes, str], skipped: SkippedRows) -> Tables:
    """The tables without the rows that need a skipped key; each of these rows is added to `skipped`.

    A suite's row stays as one line with the reason in its column `missing`.

    Args:
        tables: the tables of the run.
        keys: skipped key -> reason, as `FeatureStore.skipped` has them.
        skipped: the run's skipped rows, which grow.
    """
    if not keys:
        return tables
    reasons = pl.DataFrame({"key": list(keys), "reason": list(keys.values())}, schema_overrides={"key": pl.Binary})
    examples = _filtered(tables.examples, ("response_key",), reasons, skipped)
    pairs = _filtered(tables.pairs, ("prompt_key", "chosen_key", "rejected_key"), reasons, skipped)
    suites = _marked(tables.suites, reasons, skipped)
    return Tables(examples, pairs, suites, tables.suite_texts)


def _with_reason(table: pl.DataFrame, columns: tuple[str, ...], reasons: pl.DataFrame) -> pl.DataFrame:
    for column in columns:
        found = reasons.rename({"key": column, "reason": f"reason {column}"})
        table = table.join(found, on=column, how="left", maintain_order="left")
    return table.with_columns(reason=pl.coalesce(f"reason {column}" for column in columns)).drop(
        f"reason {column}" for column in columns
    )


def _filtered(
    table: pl.DataFrame, columns: tuple[str, ...], reasons: pl.DataFrame, skipped: SkippedRows
) -> pl.DataFrame:
    marked = _with_reason(table, columns, reasons)
    for dataset, row, reason in marked.filter(pl.col("reason").is_not_null()).select("dataset", "row", "reason").rows():
        skipped.add(dataset, Skipped(row, reason))
    return marked.filter(pl.col("reason").is_null()).drop("reason")


def _marked(suites: pl.DataFrame, reasons: pl.DataFrame, skipped: SkippedRows) -> pl.DataFrame:
    marked = _with_reason(suites, ("prompt_key", "response_key"), reasons)
    row = ["suite", "subset", "row"]
    unusable = marked.filter(pl.col("reason").is_not_null()).unique(row, maintain_order=True)
    for suite, name, reason in unusable.select("suite", "row", "reason").rows():
        skipped.add(suite, Skipped(name, reason))
    lines = unusable.select(*row, missing="reason")
    usable = suites.join(lines.select(row), on=row, how="anti", maintain_order="left", nulls_equal=True)
    return pl.concat([usable, lines], how="diagonal").select(list(SUITES))
