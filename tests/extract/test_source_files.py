"""Finding a data set's files, reading their rows one by one, and saying in one sentence what is wrong."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.errors import UserError
from extract.files.locate import Located, locate
from extract.files.malformed import Malformed
from extract.files.missing import MissingDatasetError
from extract.files.rows import read_rows
from extract.records import Message, RatedResponse, Skipped
from extract.settings import DatasetSettings
from extract.sources import SOURCES
from extract.sources.reader import read
from extract.sources.source import RawRow, Source

ROWS: list[dict[str, Any]] = [
    {"text": "zwei\u2028Zeilen", "score": 1.5},
    {"text": "b", "score": 2},
    {"nested": [{"x": None}]},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
ARRAY = json.dumps(ROWS, indent=1).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES),
        ("a.jsonl", LINES.rstrip(b"\n")),
        ("a.jsonl", b"\n" + LINES.replace(b"\n", b"\r\n") + b"\n\n"),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("a.jsonl.xz", lzma.compress(LINES)),
        ("a.json", ARRAY),
        ("a.json", b" \n" + ARRAY),
        ("a.json", b"\xef\xbb\xbf" + ARRAY),
        ("a.json.gz", gzip.compress(ARRAY, mtime=0)),
        ("train.json", LINES),
    ],
)
def test_json_in_every_dress(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(read_rows(tmp_path / name)) == ROWS


def test_numbers_of_an_array_are_floats(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 0.1, "y": 1e3, "z": 7}]')
    (row,) = read_rows(tmp_path / "a.json")
    assert isinstance(row, dict)
    assert {name: type(value) for name, value in row.items()} == {"x": float, "y": float, "z": int}


def test_parquet_rows_hold_lists_of_messages_across_batches(tmp_path: Path) -> None:
    rows = [{"chosen": [{"role": "user", "content": str(number)}], "score": number / 2} for number in range(700)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=100)
    assert list(read_rows(tmp_path / "a.parquet")) == rows


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert list(read_rows(tmp_path / name)) == []


def test_a_malformed_line_stands_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 0}\n{"n": 1\n\n"text"\n\xff\n{"n": 4}\n{"n"')
    first, broken, text, bytes_, last, torn = read_rows(tmp_path / "a.jsonl")
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
    assert list(read_rows(tmp_path / "a.json")) == [{"n": 0}, Malformed("the row is int, expected an object"), {"n": 2}]


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["long enough to matter"] * 1000, "n": range(1000)}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)[:-12]),
        ("a.jsonl.gz", b"not gzip at all"),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0)[:12] + b"\xff" * 20 + gzip.compress(LINES, mtime=0)[32:]),
        ("a.jsonl.xz", b"not xz at all"),
        ("a.json", ARRAY[:-20]),
        ("a.json", b'[{"a": 1}, oops]'),
        ("a.parquet", b"PAR1 and then nothing of the kind"),
        ("a.parquet", _parquet()[:-40]),
        ("a.parquet", b""),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(read_rows(path))
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged or cannot be read (")
    assert message.endswith("): fetch it again")
    assert "\n" not in message


def test_a_file_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=r"a\.csv is of an unknown kind: files may end in \.jsonl, "):
        list(read_rows(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_file_cloned_without_its_content_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(UserError, match=f"{name} is a Git LFS pointer without its content: run `git lfs pull`"):
        list(read_rows(tmp_path / name))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl cannot be read \(.*No such file"):
        list(read_rows(tmp_path / "gone.jsonl"))


def settings(source: str, **values: Any) -> DatasetSettings:
    return DatasetSettings(source=source, **values)


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_a_data_root_is_shaped_like_the_hub(tmp_path: Path) -> None:
    folder = tmp_path / "Anthropic" / "hh-rlhf"
    first, second, *_ = touch(
        folder, "a-base/train.jsonl.gz", "b-base/train.jsonl", "a-base/test.jsonl.gz", "red/x.jsonl", "train.jsonl"
    )
    assert locate(settings("hh_rlhf"), SOURCES["hh_rlhf"], tmp_path) == Located(folder, (first, second))


def test_files_of_the_recipe_take_the_place_of_the_sources_each_once(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "copy"
    first, second = touch(folder, "a/test.jsonl", "b/test.jsonl")
    named = settings("hh_rlhf", repo="own/copy", files=("b/*", "*/test.jsonl"))
    assert locate(named, SOURCES["hh_rlhf"], tmp_path).paths == (first, second)


def test_a_path_is_a_file_or_a_folder(tmp_path: Path) -> None:
    own, train, nested = touch(tmp_path, "own.jsonl", "train.jsonl", "sub/train-0.parquet")
    source = SOURCES["preference"]
    assert locate(settings("preference", path=own), source) == Located(tmp_path, (own,))
    found = locate(settings("preference", path=tmp_path), source, Path("ignored"))
    assert found == Located(tmp_path, (nested, train))


def missing(named: DatasetSettings, data_root: Path | None = None) -> str:
    with pytest.raises(MissingDatasetError) as caught:
        locate(named, SOURCES[named.source], data_root)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    assert missing(settings("helpsteer", name="steer"), tmp_path) == (
        f"steer: there is no folder {tmp_path}/nvidia/HelpSteer to look for train.jsonl* or validation.jsonl* in: "
        "put the files there, or leave out --data-root"
    )


def test_missing_files_are_one_sentence(tmp_path: Path) -> None:
    touch(tmp_path, "nvidia/HelpSteer/README.md")
    assert missing(settings("helpsteer"), tmp_path) == (
        f"helpsteer: no file in {tmp_path}/nvidia/HelpSteer matches train.jsonl* or validation.jsonl*: "
        "put the files there, or leave out --data-root"
    )
    assert missing(settings("preference", path=tmp_path, files=("*.parquet",))) == (
        f"preference: no file in {tmp_path} matches *.parquet: check `path` and `files` in the recipe"
    )


def test_a_missing_path_is_one_sentence(tmp_path: Path) -> None:
    assert missing(settings("preference", path=tmp_path / "none.jsonl")) == (
        f"preference: there is no file or folder {tmp_path}/none.jsonl: check `path` in the recipe"
    )


def test_neither_repository_nor_path_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(UserError, match="says neither `repo` nor `path`") as caught:
        locate(settings("preference"), SOURCES["preference"])
    assert not isinstance(caught.value, MissingDatasetError)


def test_a_pattern_that_is_no_pattern_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="preference: `files` holds a pattern that cannot be used"):
        locate(settings("preference", path=tmp_path, files=("/train.jsonl",)), SOURCES["preference"])


def test_the_hubs_own_library_refuses_offline_and_bad_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert missing(settings("shp")).startswith(f"shp: stanfordnlp/SHP is not cached in {tmp_path}, and HF_HUB_OFFLINE")
    with pytest.raises(UserError, match="'a/b/c' is not a repository's name"):
        locate(settings("shp", repo="a/b/c"), SOURCES["shp"])


def beaver(number: int, **values: Any) -> dict[str, Any]:
    return {"prompt": f"Q{number}", "response": "A", "is_safe": True} | values


def rated(row: str, number: int) -> RatedResponse:
    return RatedResponse(row, (Message("user", f"Q{number}"),), "A", {"beavertails-is_safe": 1.0})


def test_reading_names_rows_by_file_and_place_and_loses_none(tmp_path: Path) -> None:
    lines = [json.dumps(beaver(0)), "{", json.dumps(beaver(2, response="")), json.dumps(beaver(3))]
    first, second = touch(tmp_path, "a/train.jsonl", "b/train.jsonl")
    first.write_text("\n".join(lines))
    second.write_text(json.dumps(beaver(4)))
    good, malformed, empty, *rest = read(SOURCES["beavertails"], (first, second), tmp_path)
    assert good == rated("a/train.jsonl#0", 0)
    assert isinstance(malformed, Skipped)
    assert malformed.row == "a/train.jsonl#1"
    assert malformed.reason.startswith("line 2 is not JSON: ")
    assert empty == Skipped("a/train.jsonl#2", "column 'response' is empty")
    assert rest == [rated("a/train.jsonl#3", 3), rated("b/train.jsonl#0", 4)]


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5, 9])
def test_the_limit_counts_raw_rows_over_all_files(tmp_path: Path, limit: int) -> None:
    first, second = touch(tmp_path, "a.jsonl", "b.jsonl")
    first.write_text("\n".join([json.dumps(beaver(0)), "{", json.dumps(beaver(2))]))
    second.write_text("\n".join(json.dumps(beaver(number)) for number in (3, 4)))
    found = list(read(SOURCES["beavertails"], (first, second), tmp_path, limit=limit))
    assert len(found) == min(limit, 5)
    assert [record.row for record in found] == [f"a.jsonl#{n}" for n in range(3)][:limit] + [
        f"b.jsonl#{n}" for n in range(2)
    ][: max(0, limit - 3)]


def test_the_columns_of_the_recipe_reach_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "Q0", "response": "A", "Safe": 1}')
    found = read(SOURCES["multi_objective"], (path,), tmp_path, {"beavertails-is_safe": "Safe"})
    assert list(found) == [rated("a.jsonl#0", 0)]


@pytest.mark.parametrize("kind", [KeyError, IndexError, TypeError, ValueError, AttributeError])
def test_a_shape_nobody_foresaw_is_refused_and_the_rows_behind_it_are_read(
    tmp_path: Path, kind: type[Exception]
) -> None:
    def parse(row: RawRow) -> Any:
        if row.where.endswith("#0"):
            raise kind("what now")
        yield rated(row.where, 1)

    path = tmp_path / "a.jsonl"
    path.write_text("{}\n{}\n")
    odd, good = read(Source("odd", "ratings", None, (), (), parse), (path,), tmp_path)
    assert isinstance(odd, Skipped)
    assert odd.row == "a.jsonl#0"
    assert odd.reason.startswith(f"the row does not have the shape of the source 'odd' ({kind.__name__}: ")
    assert good == rated("a.jsonl#1", 1)
