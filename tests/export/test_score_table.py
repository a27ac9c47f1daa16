"""Rows as Parquet and CSV: whatever JSON they hold can be read back from the table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.score_table import write_table
from extract.files.rows import read_rows

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
NUMBERS = st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, 2**63, -(2**63), 2**80]) | st.floats(-1e9, 1e9)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1, max_size=3), max_size=6)


def without_nulls(value: Any) -> Any:
    """A structure has all keys of the column, with nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def lines_of(folder: Path, rows: list[dict[str, Any]]) -> Path:
    lines = folder / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return lines


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_parquet_gives_the_values_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("table")
    write_table(lines_of(folder, rows), folder / "rows.parquet")
    table = pyarrow.parquet.read_table(folder / "rows.parquet")
    if not rows:
        assert table.num_columns == 0
        return
    for name in table.column_names:
        values = [row.get(name) for row in rows]
        found = table[name].to_pylist()
        of_text = all(value is None or isinstance(value, str) for value in values)
        if pyarrow.types.is_string(table.schema.field(name).type) and not of_text:
            found = [None if value is None else json.loads(value) for value in found]
        assert [without_nulls(value) for value in found] == [without_nulls(value) for value in values]


@settings(max_examples=100, deadline=None)
@given(ROWS.filter(bool))
def test_csv_gives_the_values_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("table")
    write_table(lines_of(folder, rows), folder / "rows.csv")
    with io.StringIO((folder / "rows.csv").read_bytes().decode(), newline="") as file:
        for row, cells in zip(rows, csv.DictReader(file), strict=True):
            for name, cell in cells.items():
                value = row.get(name)
                assert cell == value if isinstance(value, str) else (json.loads(cell or "null") == value)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_extraction_reads_the_table(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": f"a {number}", "messages": [{"role": "user", "content": 'é\n"q"'}]} for number in range(3000)]
    write_table(lines_of(tmp_path, rows), tmp_path / name)
    read = [row.values for row in read_rows(tmp_path / name)]  # type: ignore[union-attr]
    assert [row["prompt"] for row in read] == [row["prompt"] for row in rows]
    messages = read[-1]["messages"]
    assert (json.loads(messages) if isinstance(messages, str) else messages) == rows[-1]["messages"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("before")
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": ')
    with pytest.raises(json.JSONDecodeError):
        write_table(tmp_path / "rows.jsonl", tmp_path / "rows.csv")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["rows.csv", "rows.jsonl"]
    assert (tmp_path / "rows.csv").read_text() == "before"
