"""A fault of a row is that row's, a fault of a file is one sentence, and its remedy can help."""

import bz2
import gzip
import json
import lzma
import math
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.errors import UserError
from extract.files.malformed import Malformed
from extract.files.rows import read_rows
from tests.extract.files.test_formats import ARRAY, LINES, written, zstd
from tests.extract.files.written import values

COLUMNAR = pytest.mark.parametrize("kind", ["parquet", "arrow stream", "arrow file"])


def refused(path: Path, columns: tuple[str, ...] | None = None) -> str:
    """The sentence that refuses a file, without the file's name."""
    with pytest.raises(UserError) as caught:
        list(read_rows(path, columns))
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message.removeprefix(f"{path} ")


def test_a_malformed_line_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 0}\n{"n": 1\n\n"text"\n\xff\n{"n": 4}\n{"n"')
    first, broken, text, bytes_, last, torn = values(tmp_path / "a.jsonl")
    assert (first, last) == ({"n": 0}, {"n": 4})
    assert isinstance(broken, Malformed)
    assert broken.reason.startswith("line 2 is not JSON: ")
    assert text == Malformed("line 4 is str, expected an object")
    assert isinstance(bytes_, Malformed)
    assert bytes_.reason.startswith("line 5 is not JSON: ")
    assert isinstance(torn, Malformed)
    assert torn.reason.startswith("line 7 is not JSON: ")


def test_an_array_may_hold_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"n": 0}, 3, {"n": 2}]')
    assert values(tmp_path / "a.json") == [{"n": 0}, Malformed("the element is int, expected an object"), {"n": 2}]


@pytest.mark.parametrize(
    "element",
    [
        "oops",
        "",
        '{"n": 1 "m": 2}',
        '{"n": [1}',
        '{"n": 1}}',
        '{"s": "\\x"}',
        '{"n": 1} {"n": 2}',
        '{"t": "\t"}',
        '{"n": 01}',
        "9" * 5000,
        "[" * 100_000 + "]" * 100_000,
    ],
)
@pytest.mark.parametrize("chunk", [5, 2**20])
def test_an_element_that_is_not_json_costs_itself(
    tmp_path: Path, element: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.files.json_array.CHUNK", chunk)
    (tmp_path / "a.json").write_text(f'[{{"n": 0}},\n{element},\n{{"n": "]"}}]')
    first, broken, last = values(tmp_path / "a.json")
    assert (first, last) == ({"n": 0}, {"n": "]"})
    assert isinstance(broken, Malformed)
    assert broken.reason.startswith("the element on line 2 is not JSON: ")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[{"n": 0},\n{"n": 1,\n{"n": 2}]', 2),
        ('[{"n": "open},\n{"n": "x"}]', 1),
        ('[{"n": 0},\n{"n": "open}, {"n": "x"}, {"n": "y"}]', 2),
    ],
)
def test_an_element_without_an_end_is_named_by_its_line(tmp_path: Path, content: str, line: int) -> None:
    (tmp_path / "a.json").write_text(content)
    message = refused(tmp_path / "a.json")
    assert message.startswith(f"has an element on line {line} that is not JSON (")
    assert message.endswith("correct it there, or write one object per line")


def test_what_follows_an_array_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"n": 0}]\n[{"n": 1}]')
    assert refused(tmp_path / "a.json").startswith("goes on after the end of its array, on line 2: ")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_arrays_and_lines_have_one_idea_of_json(tmp_path: Path, name: str) -> None:
    rows = [{"n": math.nan}, {"n": math.inf}, {"n": -math.inf}, {"n": 10**30}, {"s": "\ud800", "b": True}]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / name).write_text(f"[{','.join(lines)}]" if name == "a.json" else "\n".join(lines))
    first, *rest = values(tmp_path / name)
    assert isinstance(first, dict)
    assert math.isnan(first["n"])
    assert rest == rows[1:]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b'{"n": "a"}\n{"n": ["caf\xe9"]}\n{"n": "b"}', "column 'n' of line 2 is not UTF-8: byte 0xe9"),
        (
            "a.json",
            b'[{"n": "a"},\n{"n": ["caf\xe9"]},\n{"n": "b"}]',
            "column 'n' of the element that ends on line 2 is not UTF-8: byte 0xe9",
        ),
        ("a.csv", b"n\na\ncaf\xe9\nb", "column 'n' is not UTF-8: byte 0xe9"),
    ],
)
def test_a_bad_byte_of_a_text_costs_its_row(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert values(tmp_path / name) == [{"n": "a"}, Malformed(reason), {"n": "b"}]


def not_utf8(kind: pa.DataType, as_bytes: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, 3, pa.array([b"good", b"caf\xe9", b"fine"], as_bytes).buffers())


@COLUMNAR
@pytest.mark.parametrize("nested", ["", "struct", "list", "dictionary", "map"])
def test_a_bad_byte_of_a_column_costs_its_row(tmp_path: Path, kind: str, nested: str) -> None:
    text = not_utf8(pa.string(), pa.binary())
    column = {
        "": lambda: text,
        "struct": lambda: pa.StructArray.from_arrays([text], ["s"]),
        "list": lambda: pa.ListArray.from_arrays([0, 1, 2, 3], not_utf8(pa.large_string(), pa.large_binary())),
        "dictionary": lambda: text if kind == "parquet" else pa.DictionaryArray.from_arrays([0, 1, 2], text),
        "map": lambda: pa.MapArray.from_arrays([0, 1, 2, 3], ["k", "k", "k"], text),
    }[nested]()
    first, bad, last = values(written(tmp_path, kind, pa.table({"n": column})))
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    assert bad == Malformed("column 'n' is not UTF-8: byte 0xe9 at 3")


def test_a_bad_byte_of_a_category_in_parquet_is_named(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays([0, 1, 2], not_utf8(pa.string(), pa.binary()))
    assert "is not UTF-8 in a column of the type dictionary" in refused(
        written(tmp_path, "parquet", pa.table({"n": column}))
    )


@COLUMNAR
def test_what_python_cannot_hold_costs_its_row(tmp_path: Path, kind: str) -> None:
    far = pa.array([0, -(10**17)], pa.timestamp("us"))
    assert values(written(tmp_path, kind, pa.table({"at": far}))) == [
        {"at": datetime(1970, 1, 1)},
        Malformed("column 'at' cannot be read: date value out of range"),
    ]
    for odd in (
        pa.array([2**62], pa.timestamp("s")),
        pa.array([2**62], pa.duration("s")),
        pa.array([86 * 10**15], pa.date64()),
    ):
        if kind != "parquet" or odd.type != pa.timestamp("s"):  # Parquet has no seconds: they would overflow
            (bad,) = values(written(tmp_path, kind, pa.table({"at": odd})))
            assert isinstance(bad, Malformed)
            assert bad.reason.startswith("column 'at' cannot be read: ")
    twice = pa.array([[("a", 1)], [("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int8()))
    good, bad = values(written(tmp_path, kind, pa.table({"m": twice})))
    assert good == {"m": {"a": 1}}
    assert isinstance(bad, Malformed)


@COLUMNAR
@pytest.mark.parametrize("nested", ["", "struct", "dictionary"])
def test_times_need_neither_pandas_nor_a_database_of_zones(
    tmp_path: Path, kind: str, nested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    at = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "US/Nowhere"))
    column = {"": at, "struct": pa.StructArray.from_arrays([at], ["at"]), "dictionary": at.dictionary_encode()}[nested]
    expected = datetime(2023, 11, 14, 22, 13, 20, 123456)
    held = {"at": expected} if nested == "struct" else expected
    assert values(written(tmp_path, kind, pa.table({"x": column}))) == [{"x": held}]


@COLUMNAR
def test_decimals_and_bytes(tmp_path: Path, kind: str) -> None:
    table = pa.table({"d": pa.array([Decimal("4.50")], pa.decimal128(5, 2)), "b": pa.array([b"\xff"])})
    assert values(written(tmp_path, kind, table)) == [{"d": Decimal("4.50"), "b": b"\xff"}]


@pytest.mark.parametrize("kind", ["arrow stream", "arrow file"])
def test_a_decimal_of_more_digits_than_its_type_says_is_no_damage(tmp_path: Path, kind: str) -> None:
    digits = pa.array([12345678], pa.decimal128(38, 2)).buffers()
    column = pa.Array.from_buffers(pa.decimal128(5, 2), 1, digits)
    assert values(written(tmp_path, kind, pa.table({"d": column}))) == [{"d": Decimal("12345678.00")}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1", "the row has 1 cells, the header 2"),
        ("1,2,3", "the row has 3 cells, the header 2"),
        ('"1\nx"x,2', "the row on lines 3 to 4 is not CSV: ',' expected after '\"'"),
        ('"1"x,2', "the row on line 3 is not CSV: ',' expected after '\"'"),
    ],
)
def test_a_row_of_other_cells_costs_itself(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n1,2\n{row}\n5,6\n")
    assert values(tmp_path / "a.csv") == [{"a": "1", "b": "2"}, Malformed(reason), {"a": "5", "b": "6"}]


def test_a_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,2\n"3,4\n5,6\n')
    assert refused(tmp_path / "a.csv").startswith("opens a quote in the row on line 3 that is never closed: ")


def test_a_column_that_stands_twice_is_named_if_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,b\n1,2,3\n")
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * 3, ["a", "b", "b"]), tmp_path / "a.parquet")
    for path in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        assert "'b' " in refused(path) or "'b':" in refused(path)
        assert len(values(path, ["a"])) == 1


def _table(kind: str, folder: Path) -> bytes:
    text = ["long enough to matter"] * 1000
    return written(folder, kind, pa.table({"text": text, "n": range(1000)})).read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)[:-12]),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)[:12] + b"\xff" * 20 + gzip.compress(LINES, mtime=0)[32:]),
        ("a.jsonl.xz", lzma.compress(LINES)[:-12]),
        ("a.jsonl.zst", b"not zst at all"),
        ("a.jsonl.zst", zstd(LINES)[:-4]),
        ("a.csv.bz2", bz2.compress(LINES)[:-4]),
        ("a.json", ARRAY[:-20]),
        ("a.json", ARRAY[:-1]),
        ("a.parquet", b"PAR1 and then nothing of the kind"),
        ("a.arrow", b"nothing of the kind"),
        ("a.arrow", b""),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refused(path)
    assert message.startswith("is damaged or cut off (")
    assert message.endswith("): fetch it again")


@COLUMNAR
def test_a_file_of_columns_that_is_cut_is_named(tmp_path: Path, kind: str) -> None:
    content = _table(kind, tmp_path)
    path = tmp_path / f"cut.{kind.partition(' ')[0]}"
    for size in (len(content) - 40, len(content) // 2, 9):
        path.write_bytes(content[:size])
        assert refused(path).endswith("): fetch it again")


def test_offsets_that_point_elsewhere_are_damage(tmp_path: Path) -> None:
    content = _table("arrow stream", tmp_path)
    offsets = (21 * 200).to_bytes(4, "little")
    assert offsets in content
    (tmp_path / "a.arrow").write_bytes(content.replace(offsets, b"\xff\xff\xff\x7f"))
    assert refused(tmp_path / "a.arrow").startswith("is damaged or cut off (")


def test_every_cut_of_an_array_is_a_cut(tmp_path: Path) -> None:
    text = '[{"a": [true, false, null, NaN, -Infinity, Infinity, -1.5e+7, "x\\u00e9\\n", {"b": {}}]}, {"c": "d"}]'
    path = tmp_path / "a.json"
    for size in range(1, len(text)):
        path.write_text(text[:size])
        assert refused(path) == "is damaged or cut off (the array does not end): fetch it again"


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        ('{\n  "prompt": "a",\n  "chosen": "b"\n}\n', "that takes several lines"),
        ('{\n "prompt": "a"\n}\n{\n "prompt": "b"\n}\n', "that takes several lines"),
        ('{"data": [\n{"prompt": "a"},\n{"prompt": "b"}\n]}', "with a list of objects under 'data'"),
        ('{"data": [\n{"prompt": "a"}\n]}', "with a list of objects under 'data'"),
        ('{"version": 1, "data": [{"prompt": "a"}]}', "with a list of objects under 'data'"),
        ('{\n"version": 1, "data": [' + '{"prompt": "a"},\n' * 9000 + "{}]}", "with a list of objects under 'data'"),
        ('{"prompt": ["a", "b"], "chosen": ["c", "d"]}', "of columns in place of rows"),
        ('{"prompt": {"0": "a", "1": "b"}, "chosen": {"0": "c", "1": "d"}}\n', "of columns in place of rows"),
    ],
)
def test_an_object_in_place_of_rows_is_named_by_its_shape(tmp_path: Path, content: str, shape: str) -> None:
    (tmp_path / "a.json").write_text(content)
    message = refused(tmp_path / "a.json", ("prompt", "chosen"))
    assert message.startswith("holds ")
    assert f"JSON object {shape}: write one object per line" in message


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"prompt": "a"}', 1),
        ('{"messages": [{"role": "user"}], "other": [{"x": 1}]}', 1),
        ('{"chosen": ["a"], "rejected": ["b"], "prompt": [{"role": "user"}]}', 1),
        ('{"prompt": 1\n{"prompt": 2}\n', 2),
        ('{"prompt": \n{"prompt": 2}\n', 2),
        ('{\n{"prompt": 2}\n', 2),
    ],
)
def test_a_row_is_no_such_object(tmp_path: Path, content: str, rows: int) -> None:
    (tmp_path / "a.json").write_text(content)
    assert len(values(tmp_path / "a.json", ("prompt", "messages", "chosen", "rejected"))) == rows


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b"<!DOCTYPE html><html>"),
        ("a.json", b"\n  <html lang=en>"),
        ("a.parquet", b"<!doctype html>"),
        ("a.arrow", b"<html>"),
        ("a.jsonl.gz", b"<html>"),
        ("a.csv.gz", gzip.compress(b"<html>", mtime=0)),
        ("a.tsv", b'<?xml version="1.0"?><Error/>'),
    ],
)
def test_a_page_in_place_of_data_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).startswith(
        "is an HTML or XML page in place of data, such as a login or an error page"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", LINES),
        ("a.json.gz", lzma.compress(ARRAY)),
        ("a.jsonl.xz", gzip.compress(LINES, mtime=0)),
        ("a.jsonl.bz2", LINES),
        ("a.parquet", LINES),
        ("a.parquet", b""),
        ("a.jsonl.gz", b""),
    ],
)
def test_a_file_that_begins_otherwise_than_its_suffix_says_may_be_whole(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    sentence = f"does not begin as a {Path(name).suffix} file does: name it after what it holds, or fetch it again"
    assert refused(tmp_path / name) == sentence


@pytest.mark.parametrize(("name", "suffix"), [("a.jsonl", ".gz"), ("a.csv", ".bz2"), ("a.json", ".xz")])
def test_a_compressed_file_without_the_suffix_is_named(tmp_path: Path, name: str, suffix: str) -> None:
    compress = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / name).write_bytes(compress(LINES))
    assert refused(tmp_path / name) == f"begins as a {suffix} file does: add {suffix} to its name"


def test_an_encrypted_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PARE" + b"\x07" * 100 + b"PARE")
    assert refused(tmp_path / "a.parquet") == "is encrypted Parquet: decrypt it first"


def test_text_of_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2", "utf-16")
    assert refused(tmp_path / "a.csv") == "is text in UTF-16: save it as UTF-8"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_row_has_a_bound(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.files.json_lines.LONGEST", 2**20)
    monkeypatch.setattr("extract.files.json_array.LONGEST", 2**20)
    row = json.dumps({"a": "x" * 2**22})
    (tmp_path / name).write_text(f"[{{}},\n{row}]" if name == "a.json" else f"{{}}\n{row}")
    message = refused(tmp_path / name)
    assert "has more than 1 MiB" in message
    assert "line 2" in message


def test_a_file_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("a,b\n")
    assert refused(tmp_path / "a.xlsx").startswith(
        "is of an unknown kind: name files that end in .jsonl, .json, .ndjson, .csv, "
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.arrow", "a.csv"])
def test_a_file_cloned_without_its_content_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(UserError, match=f"{name} is a Git LFS pointer without its content: run `git lfs pull`"):
        list(read_rows(tmp_path / name))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl cannot be read \(.*No such file"):
        list(read_rows(tmp_path / "gone.jsonl"))
