"""Rows of every format and compression, one by one."""

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.errors import UserError
from extract.files.rows import read_rows
from tests.extract.files.written import values

ROWS: list[dict[str, Any]] = [
    {"text": "zwei\u2028Zeilen", "score": 1.5},
    {"text": "b", "score": 2},
    {"nested": [{"x": None}]},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
ARRAY = json.dumps(ROWS, indent=1).encode()


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(content, asbytes=True)
    return compressed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.jsonl", LINES.rstrip(b"\n")),
        ("a.jsonl", b"\n" + LINES.replace(b"\n", b"\r\n") + b"\n\n"),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES),
        ("a.ndjson", LINES),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("a.jsonl.xz", lzma.compress(LINES)),
        ("a.jsonl.zst", zstd(LINES)),
        ("a.jsonl.bz2", bz2.compress(LINES)),
        ("a.json", ARRAY),
        ("a.json", b" \n" + ARRAY),
        ("a.json", b"\xef\xbb\xbf" + ARRAY),
        ("a.json.gz", gzip.compress(ARRAY, mtime=0)),
        ("a.json.zst", zstd(ARRAY)),
        ("train.json", LINES),
    ],
)
def test_json_in_every_dress(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert values(tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("a.jsonl.gz", gzip.compress),
        ("a.jsonl.xz", lzma.compress),
        ("a.jsonl.bz2", bz2.compress),
        ("a.jsonl.zst", zstd),
    ],
)
def test_compressed_files_may_be_several_one_after_another(tmp_path: Path, name: str, compress: Any) -> None:
    (tmp_path / name).write_bytes(compress(LINES) + compress(LINES))
    assert values(tmp_path / name) == ROWS * 2


def test_numbers_of_an_array_are_floats(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 0.1, "y": 1e3, "z": 7}]')
    (row,) = values(tmp_path / "a.json")
    assert isinstance(row, dict)
    assert {name: type(value) for name, value in row.items()} == {"x": float, "y": float, "z": int}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_the_same_wherever_its_parts_lie_in_what_is_read_at_once(
    tmp_path: Path, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"a": 'q"\\\u00e9{[,]}' * (number % 5), "n": -number / 3, "list": [[number], {}]} for number in range(40)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False))
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("extract.files.json_array.CHUNK", size)
        assert values(path) == rows


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert values(tmp_path / name) == []


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ","), ("a.csv.zst", ",")]
)
def test_cells_are_texts_and_empty_ones_missing(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [
        {"prompt": 'say "hi",\nand\tgo', "score": "3", "turns": '[{"role": "user"}]'},
        {"prompt": "é" * 200_000, "score": None, "turns": None},
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = f"\ufeff{text.getvalue()}\n\n".encode()
    compress = {".gz": gzip.compress, ".zst": zstd}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(compress(content))
    assert values(tmp_path / name) == rows


def test_parquet_rows_hold_lists_of_messages_across_batches(tmp_path: Path) -> None:
    rows = [{"chosen": [{"role": "user", "content": str(number)}], "score": number / 2} for number in range(700)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=100)
    assert values(tmp_path / "a.parquet") == rows


def written(folder: Path, kind: str, table: pa.Table) -> Path:
    """A table as a file of some kind."""
    path = folder / f"a.{kind.partition(' ')[0]}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        new = pa.ipc.new_stream if kind == "arrow stream" else pa.ipc.new_file
        with new(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=300)
    return path


MESSAGE = {"role": "user", "content": "é"}
TYPES = {
    "large": (pa.large_string(), ["a", None]),
    "view": (pa.string_view(), ["short", "longer than twelve bytes"]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", "a"]),
    "struct": (pa.struct([("deep", pa.struct([("x", pa.large_list(pa.float32()))]))]), [{"deep": {"x": [1.5]}}, None]),
    "messages": (pa.list_(pa.map_(pa.string(), pa.string())), [[MESSAGE, MESSAGE], []]),
    "fixed": (pa.list_(pa.int8(), 2), [[1, 2], [3, 4]]),
    "half": (pa.float16(), [1.5, None]),
}


@pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file"])
@pytest.mark.parametrize("of", TYPES)
def test_columns_of_every_type(tmp_path: Path, kind: str, of: str) -> None:
    type_, held = TYPES[of]
    table = pa.table({"x": pa.array(held, type_)})
    assert values(written(tmp_path, kind, table)) == [{"x": value} for value in held]


@pytest.mark.parametrize("kind", ["arrow stream", "arrow file"])
def test_arrow_rows_across_batches(tmp_path: Path, kind: str) -> None:
    rows = [{"n": number, "text": "x" * number} for number in range(700)]
    assert values(written(tmp_path, kind, pa.Table.from_pylist(rows))) == rows


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_the_first_row_needs_the_first_bytes_alone(tmp_path: Path, name: str) -> None:
    """The end of the compressed file is missing, and the first row comes all the same."""
    texts = [f"{number} " * 50_000 for number in range(40)]
    lines = [json.dumps({"a": text}) for text in texts]
    content = {"a.jsonl": "\n".join(lines), "a.json": f"[{','.join(lines)}]", "a.csv": "\n".join(["a", *texts])}[name]
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(content.encode(), 1)[:-1000])
    found = read_rows(path)
    assert next(found).values == {"a": texts[0]}  # type: ignore[union-attr]
    with pytest.raises(UserError, match="is damaged or cut off"):
        list(found)
