"""Rows are counted as they are numbered, in every format."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.errors import UserError
from extract.files.rows import count_rows, read_rows
from tests.extract.files.test_formats import written, zstd

ELEMENTS = st.lists(
    st.sampled_from(
        ["{}", '{"a": 1}', '{"a": NaN}', '{"a": "\\u00e9]}"}', "3", "oops", '{"a": [}', '"x"', "[[]]", "{{}}"]
    )
)


@given(ELEMENTS, st.sampled_from([" ", "\n", "\n\n "]))
def test_an_array(tmp_path_factory: pytest.TempPathFactory, elements: list[str], space: str) -> None:
    path = tmp_path_factory.getbasetemp() / "counted.json"
    path.write_text(f"[{space}{f',{space}'.join(elements)}{space}]{space}")
    assert count_rows(path) == len(list(read_rows(path, ["a"]))) == len(elements)


@given(st.lists(st.sampled_from(['{"a": 1}', "", "  ", "{", "\xff", "\r", "\x0c", "3"])))
def test_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "counted.jsonl"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    assert count_rows(path) == len(list(read_rows(path, ["a"])))


@given(st.lists(st.sampled_from(["1,2", "", '"a\nb",2', "1", "1,2,3", '"a"b,2', '"",""', "\xff,2"])))
def test_cells(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "counted.csv"
    path.write_bytes("\n".join(["a,b", *lines]).encode("latin-1"))
    assert count_rows(path) == len(list(read_rows(path, ["a"]))) == len([line for line in lines if line])


@pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file"])
@pytest.mark.parametrize("rows", [0, 1, 700])
def test_columns(tmp_path: Path, kind: str, rows: int) -> None:
    path = written(tmp_path, kind, pa.table({"a": pa.array(range(rows), pa.int64()), "b": ["x"] * rows}))
    for columns in (["a"], ["b", "c"], ["c"], []):
        assert count_rows(path) == len(list(read_rows(path, columns))) == rows


def test_compressed_files(tmp_path: Path) -> None:
    content = "".join(json.dumps({"a": number}) + "\n" for number in range(50)).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.jsonl.zst").write_bytes(zstd(content))
    assert count_rows(tmp_path / "a.jsonl.gz") == count_rows(tmp_path / "a.jsonl.zst") == 50


def test_a_file_that_cannot_be_read_cannot_be_counted(tmp_path: Path) -> None:
    for name, content in (
        ("a.parquet", b"PAR1"),
        ("a.json", b"[{"),
        ("a.jsonl.gz", b"{}"),
        ("a.txt", b""),
        ("a.arrow", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            count_rows(tmp_path / name)
