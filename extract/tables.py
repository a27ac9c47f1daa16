"""The tables of a run: which rows there are, which features they need, and the texts of suites. No features."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from cache import UserError
from cache.durable import replacing

EXAMPLES = {
    "dataset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "response_key": pl.Binary,
    "response_tokens": pl.Int32,
    "split": pl.String,
}
"""Rated responses; one Float64 column per objective stands beside these, null where not rated."""

PAIRS = {
    "dataset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "chosen_key": pl.Binary,
    "rejected_key": pl.Binary,
    "chosen_tokens": pl.Int32,
    "rejected_tokens": pl.Int32,
    "margin": pl.Float64,
    "split": pl.String,
}
"""Preferences; `margin` is null where the set does not say by how much."""

SUITES = {
    "suite": pl.String,
    "subset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "response_key": pl.Binary,
    "response_tokens": pl.Int32,
    "chosen": pl.Boolean,
    "place": pl.Int32,
    "missing": pl.String,
    "metadata": pl.String,
}
"""One line per response of a suite's row: chosen or rejected, and its place among those.

A row that could not be used is one line with null keys and the reason in `missing`. `metadata` is a JSON object of
texts: what else the suite's scoring needs to know about the row, such as its language.
"""

SUITE_TEXTS = {
    "suite": pl.String,
    "subset": pl.String,
    "row": pl.String,
    "chosen": pl.Boolean,
    "place": pl.Int32,
    "prompt": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "response": pl.String,
}
"""What the responses of suites say, for other scorers and for readers; joins `SUITES` by the first five columns.

Suites are small. Rated and paired responses keep no text here: nothing behind the features reads it.
"""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a run."""

    examples: pl.DataFrame
    pairs: pl.DataFrame
    suites: pl.DataFrame
    suite_texts: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write them as Parquet files, each durably in place of the old one."""
        for name in ("examples", "pairs", "suites", "suite_texts"):
            # By way of memory: polars takes a full disk for a bug in Parquet.
            table = BytesIO()
            getattr(self, name).write_parquet(table)
            with replacing(folder / f"{name}.parquet") as file:
                file.write(table.getbuffer())


def read_table(folder: Path, name: str) -> pl.DataFrame:
    """One table of a run.

    Raises:
        UserError: it is not there, or not Parquet.
    """
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise UserError(f"there is no {path}: run `armorm extract` first")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): run `armorm extract` again") from None


def frame(rows: Sequence[Sequence[Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Rows of values in the schema's order as a table."""
    return pl.DataFrame(rows, schema=schema, orient="row")
