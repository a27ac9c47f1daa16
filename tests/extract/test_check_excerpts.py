"""Excerpts of files: rows of the file and no others, whatever the kind of file and wherever it was cut off."""

import gzip
import json
import lzma
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract.check.contents import DiskFile, Seekable
from extract.check.excerpt import NotLookedAtError, UnreadableError, excerpt
from tests.extract.files.written import values

ROWS = 5
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
TABLES = st.lists(st.fixed_dictionaries({"a": TEXTS, "b": st.lists(TEXTS, max_size=2)}), min_size=1, max_size=40)


def written(folder: Path, kind: str, rows: list[dict[str, Any]]) -> DiskFile:
    path = folder / f"rows{kind}"
    if kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
        return DiskFile(path.name, path)
    text = json.dumps(rows, indent=1) if kind == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
    compress = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(text.encode()))
    return DiskFile(path.name, path)


@pytest.mark.parametrize("block", [64, 1 << 18])
@pytest.mark.parametrize("kind", [".jsonl", ".json", ".jsonl.gz", ".jsonl.xz", ".parquet"])
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLES, seed=st.integers(0, 99))
def test_an_excerpt_has_the_first_rows_and_others_of_the_file(
    kind: str, block: int, rows: list[dict[str, Any]], seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.check.excerpt.TEXT", block)
    made = excerpt(written(tmp_path, kind, rows), tmp_path / "out", frozenset({"a", "b"}), ROWS, random.Random(seed))
    read = values(made.path)
    assert made.rows == len(read) >= 1
    assert read[0] == rows[0]
    assert all(row in rows for row in read)
    assert read[: min(ROWS, len(rows))] == rows[:ROWS] or block == 64
    if made.rows_of_file is not None and not made.guessed:
        assert made.rows_of_file == len(rows)
    assert made.doubt is None


def test_only_the_columns_that_are_read_are_taken(tmp_path: Path) -> None:
    file = written(tmp_path, ".parquet", [{"a": "x", "b": ["y"]}] * 20)
    made = excerpt(file, tmp_path / "out", frozenset({"a"}), ROWS, random.Random(0))
    assert pq.read_schema(made.path).names == ["a"]
    assert made.rows_of_file == 20


@pytest.mark.parametrize("kind", [".jsonl", ".json", ".jsonl.gz", ".jsonl.xz", ".parquet"])
def test_a_file_that_was_cut_is_named(kind: str, tmp_path: Path) -> None:
    file = written(tmp_path, kind, [{"a": "x" * 50, "b": [str(number)]} for number in range(30)])
    file.path.write_bytes(file.path.read_bytes()[:-20])
    if kind == ".jsonl":
        made = excerpt(file, tmp_path / "out", frozenset(), ROWS, random.Random(0))
        assert made.doubt == "rows.jsonl ends in the middle of a row: if it was cut, remove it and fetch it again"
        return
    with pytest.raises(UnreadableError, match=r"^rows.* fetch it again"):
        excerpt(file, tmp_path / "out", frozenset(), ROWS, random.Random(0))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b" \n", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\n<!doctype html><p>Log in</p>", "is a page of HTML"),
        (b"<HTML></HTML>", "is a page of HTML"),
    ],
)
@pytest.mark.parametrize("kind", [".jsonl", ".json", ".parquet", ".jsonl.gz"])
def test_what_is_saved_in_place_of_data_is_named(kind: str, content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{kind}"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=f"^rows{kind} {expected}"):
        excerpt(DiskFile(path.name, path), tmp_path / "out", frozenset(), ROWS, random.Random(0))


def test_rows_longer_than_a_block_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.check.excerpt.TEXT", 1000)
    rows = [{"a": "x" * 5000, "b": [str(number)]} for number in range(4)]
    for kind in (".jsonl", ".json", ".jsonl.gz"):
        made = excerpt(written(tmp_path, kind, rows), tmp_path / f"out{kind}", frozenset(), ROWS, random.Random(0))
        assert values(made.path)[0] == rows[0]


class Far(DiskFile):
    """A file that is not on the disk of this machine."""

    @property
    def local(self) -> None:
        return None


def test_a_kind_that_cannot_be_read_in_part_is_fetched_if_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    made = excerpt(Far("rows.csv", path), tmp_path / "far", frozenset(), ROWS, random.Random(0))
    assert made.path.read_text() == "a,b\n1,2\n"
    assert excerpt(DiskFile("rows.csv", path), tmp_path / "out", frozenset(), ROWS, random.Random(0)).rows is None
    monkeypatch.setattr("extract.check.excerpt.SMALL", 4)
    with pytest.raises(NotLookedAtError, match=r"rows.csv can be read from the disk alone, and 0 MB are not fetched"):
        excerpt(Far("rows.csv", path), tmp_path / "no", frozenset(), ROWS, random.Random(0))


@given(
    content=st.binary(max_size=300), places=st.lists(st.tuples(st.integers(0, 320), st.integers(0, 320)), max_size=6)
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_give_the_bytes_of_the_file(
    content: bytes, places: list[tuple[int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extract.check.contents.BLOCK", 32)
    monkeypatch.setattr("extract.check.contents.BLOCKS", 2)
    path = tmp_path / "file"
    path.write_bytes(content)
    file = Seekable(DiskFile("file", path))
    for start, size in places:
        file.seek(start)
        assert file.read(size) == content[start : start + size]
    file.seek(-min(5, len(content)), 2)
    assert file.read() == content[-min(5, len(content)) :] if content else file.read() == b""
