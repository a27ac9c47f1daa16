"""The tables of a run are written durably and read back; what cannot be read names the command that writes it."""

from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest

from cache import UserError
from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, Tables, frame, read_table

ROWS = [("helpsteer", "f#1", bytes(16), bytes(range(16)), 12, 2, 3, 1, "train", 3.0)]


@pytest.fixture
def tables() -> Tables:
    examples = frame(ROWS, EXAMPLES | {"helpfulness": pl.Float64})
    return Tables(examples, frame([], PAIRS), frame([], SUITES), frame([], SUITE_TEXTS))


def test_the_bytes_are_those_that_polars_writes(tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path)
    tables.examples.write_parquet(tmp_path / "plain.parquet")
    assert (tmp_path / "examples.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()
    for field in fields(tables):
        assert read_table(tmp_path / f"{field.name}.parquet").equals(getattr(tables, field.name))


def test_a_file_that_is_missing_or_damaged_is_named_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "examples.parquet"
    with pytest.raises(UserError, match=r"there is no .*examples\.parquet: run `armorm extract` first"):
        read_table(path)
    for damaged in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"examples\.parquet cannot be read .*run `armorm extract` again"):
            read_table(path)
