"""Tables are written with a stamp in their files' metadata, which is read without the table."""

from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest

from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, Tables, frame, read_stamp, read_table

ROWS = [("helpsteer", "f#1", bytes(16), bytes(range(16)), 12, "train", 3.0)]


@pytest.fixture
def tables() -> Tables:
    examples = frame(ROWS, EXAMPLES | {"helpfulness": pl.Float64})
    return Tables(examples, frame([], PAIRS), frame([], SUITES), frame([], SUITE_TEXTS))


def test_a_stamp_is_read_back_and_the_table_is_the_same(tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path, {"examples": "abc", "suites": "ü"})
    assert read_stamp(tmp_path / "examples.parquet") == "abc"
    assert read_stamp(tmp_path / "suites.parquet") == "ü"
    assert read_stamp(tmp_path / "pairs.parquet") is None
    for field in fields(tables):
        assert read_table(tmp_path, field.name).equals(getattr(tables, field.name))


def test_without_stamps_the_bytes_are_those_that_polars_writes(tables: Tables, tmp_path: Path) -> None:
    tables.write(tmp_path)
    tables.examples.write_parquet(tmp_path / "plain.parquet")
    assert (tmp_path / "examples.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()
    assert read_stamp(tmp_path / "examples.parquet") is None


def test_a_file_that_is_missing_or_damaged_has_no_stamp(tmp_path: Path) -> None:
    assert read_stamp(tmp_path / "examples.parquet") is None
    for damaged in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        (tmp_path / "examples.parquet").write_bytes(damaged)
        assert read_stamp(tmp_path / "examples.parquet") is None
