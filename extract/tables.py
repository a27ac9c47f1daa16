"""The tables of a run: its rows, the keys of the features they need, and the texts of suites. No features."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from cache import UserError
from cache.durable import write_frame
from extract.style import STYLE

EXAMPLES = {
    "dataset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "response_key": pl.Binary,
    "response_tokens": pl.Int32,
    **dict.fromkeys(STYLE, pl.Int32),
    "split": pl.String,
}
"""Columns of the rated responses, with the marks of style in each (`extract.style`); one Float64 column per objective
follows, null where not rated."""

PAIRS = {
    "dataset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "chosen_key": pl.Binary,
    "rejected_key": pl.Binary,
    "chosen_tokens": pl.Int32,
    "rejected_tokens": pl.Int32,
    **{f"{side}_{mark}": pl.Int32 for side in ("chosen", "rejected") for mark in STYLE},
    "margin": pl.Float64,
    "split": pl.String,
}
"""Columns of the preference pairs; `margin` is null where the data set does not give it."""

SUITES = {
    "suite": pl.String,
    "subset": pl.String,
    "row": pl.String,
    "prompt_key": pl.Binary,
    "response_key": pl.Binary,
    "response_tokens": pl.Int32,
    **dict.fromkeys(STYLE, pl.Int32),
    "chosen": pl.Boolean,
    "place": pl.Int32,
    "missing": pl.String,
    "metadata": pl.String,
}
"""Columns of the suites' responses, one line per response: chosen or rejected, and its place among those.

A skipped row is one line with null keys and the reason in `missing`. `metadata` is a JSON object of texts that the
suite's scoring needs besides, such as the row's language.
"""

KEY_COLUMNS = {
    "examples": ("prompt_key", "response_key"),
    "pairs": ("prompt_key", "chosen_key", "rejected_key"),
    "suites": ("prompt_key", "response_key"),
}
"""Table -> its columns of keys. In `suites` the data set is called suite."""

SUITE_TEXTS = {
    "suite": pl.String,
    "subset": pl.String,
    "row": pl.String,
    "chosen": pl.Boolean,
    "place": pl.Int32,
    "prompt": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "response": pl.String,
}
"""Columns of the suites' texts, for other scorers and for readers; joins `SUITES` by the first five columns.

Suites are small. Texts of rated and paired responses are not stored: nothing reads them after the extraction.
"""


ROWS_OF_A_PART = 8192
"""Rows of a growing table that are Python objects at once."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a run."""

    examples: pl.DataFrame
    pairs: pl.DataFrame
    suites: pl.DataFrame
    suite_texts: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write the tables as Parquet files, each durably in place of the old one."""
        for name in ("examples", "pairs", "suites", "suite_texts"):
            write_frame(folder / f"{name}.parquet", getattr(self, name))


def read_table(path: Path, command: str = "extract") -> pl.DataFrame:
    """One table of a run.

    Args:
        path: the Parquet file.
        command: `armorm <command>` writes it.

    Raises:
        UserError: the file is missing, or not Parquet.
    """
    if not path.exists():
        raise UserError(f"there is no {path}: run `armorm {command}` first")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): run `armorm {command}` again") from None


class TableRows:
    """A table that grows by rows. Most of it is held as compressed columns: a twentieth of the memory of rows."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._parts: list[BytesIO] = []
        self._rows: list[Sequence[Any]] = []

    def append(self, row: Sequence[Any]) -> None:
        """Add a row, its values in the schema's order."""
        self._rows.append(row)
        if len(self._rows) == ROWS_OF_A_PART:
            self._parts.append(frame(self._rows, self._schema).write_ipc(None, compression="lz4"))
            self._rows = []

    def frame(self) -> pl.DataFrame:
        """The rows so far."""
        last = frame(self._rows, self._schema)
        # One column after the other, so that no more than one is in memory twice.
        return pl.DataFrame(
            [
                pl.concat([*(self._column(part, name) for part in self._parts), last[name]], rechunk=True)
                for name in self._schema
            ]
        )

    @staticmethod
    def _column(part: BytesIO, name: str) -> pl.Series:
        part.seek(0)
        return pl.read_ipc(part, columns=[name])[name]


def frame(rows: Sequence[Sequence[Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Rows of values in the schema's order as a table."""
    return pl.DataFrame(rows, schema=schema, orient="row")
