"""Columns that nobody asked for are not looked at, and a row says which ones it has."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extract.files.file_row import FileRow
from extract.files.rows import read_rows
from extract.records import PreferencePair, RatedResponse, Skipped
from extract.sources import SOURCES
from extract.sources.reader import read
from tests.extract.files.test_formats import written

PAIR = {"prompt": "a", "chosen": "good", "rejected": "bad"}

UNREADABLE = {
    "a date far away": pa.array([-(10**17)], pa.timestamp("us")),
    "an unknown zone": pa.array([1], pa.timestamp("us", "US/Nowhere")),
    "no text": pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers()),
    "a map with a key twice": pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int8())),
}


@pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file"])
@pytest.mark.parametrize("of", UNREADABLE)
def test_a_column_nobody_asked_for_is_no_fault(tmp_path: Path, kind: str, of: str) -> None:
    table = pa.table({name: [text] for name, text in PAIR.items()} | {"created": UNREADABLE[of]})
    path = written(tmp_path, kind, table)
    (pair,) = read(SOURCES["preference"], (path,), tmp_path)
    assert isinstance(pair, PreferencePair)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json.dumps(PAIR).encode()[:-1] + b', "x": "\xff"}'),
        ("a.json", b"[" + json.dumps(PAIR).encode()[:-1] + b', "x": ["\xff"]}]'),
        ("a.csv", b"prompt,x,chosen,rejected,x\na,\xff,good,bad,\n"),
    ],
)
def test_a_bad_byte_in_another_column_is_no_fault(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (pair,) = read(SOURCES["preference"], (tmp_path / name,), tmp_path)
    assert isinstance(pair, PreferencePair)


@pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file", "jsonl", "json", "csv"])
def test_values_of_the_named_columns_and_names_of_all(tmp_path: Path, kind: str) -> None:
    rows = [{"a": "1", "b.c": "2", "b": "3", "d": "4"}]
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        path.write_text("a,b.c,b,d\n1,2,3,4\n")
    elif kind.startswith("json"):
        path.write_text(json.dumps(rows if kind == "json" else rows[0]))
    else:
        path = written(tmp_path, kind, pa.Table.from_pylist(rows))
    for wanted in (["b"], ["b.c", "d"], ["d", "none"], ["none"], []):
        (row,) = read_rows(path, wanted)
        assert isinstance(row, FileRow)
        assert row.values == {name: value for name, value in rows[0].items() if name in wanted}
        assert list(row.columns) == list(rows[0])


def test_only_named_columns_are_decoded(tmp_path: Path) -> None:
    """The bytes of another column are broken on the disk; reading that column would raise."""
    path = tmp_path / "a.parquet"
    table = pa.table({"a": ["good"], "b": ["a text that stands here alone"]})
    pq.write_table(table, path, compression=None, use_dictionary=False)
    start = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    assert [row.values for row in read_rows(path, ["a"]) if isinstance(row, FileRow)] == [{"a": "good"}]


def test_columns_of_ratings_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["a"], "response": ["b"], "Nice": [4], "other": [1]}), tmp_path / "a.parquet")
    (rated,) = read(SOURCES["multi_objective"], (tmp_path / "a.parquet",), tmp_path, {"nice": "Nice"})
    assert isinstance(rated, RatedResponse)
    assert rated.ratings == {"nice": 4.0}


@pytest.mark.parametrize(
    ("source", "row", "reason"),
    [
        (
            "preference",
            {"instruction": "a", "output": "b"},
            "column 'chosen' is missing; the row has 'instruction' and 'output'",
        ),
        ("preference", {"text": "a"}, "column 'chosen' is missing; the row has 'text'"),
        (
            "preference",
            dict.fromkeys("abcdefg", 1),
            "column 'chosen' is missing; the row has 'a', 'b', 'c', 'd', 'e' and 2 more",
        ),
        ("preference", {}, "column 'chosen' is missing; the row has no column"),
        (
            "multi_objective",
            {"prompt": "a", "score": 1},
            "none of the rating columns is there: Nice; the row has 'prompt' and 'score'",
        ),
        (
            "multi_objective",
            {"Nice": 1, "reply": "a"},
            "neither column 'messages' nor column 'prompt' is there; the row has 'Nice' and 'reply'",
        ),
    ],
)
def test_a_missing_column_is_named_beside_those_that_are_there(
    tmp_path: Path, source: str, row: dict[str, Any], reason: str
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert list(read(SOURCES[source], (tmp_path / "a.jsonl",), tmp_path, {"nice": "Nice"})) == [
        Skipped("a.jsonl#0", reason)
    ]
