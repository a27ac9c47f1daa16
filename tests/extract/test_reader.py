"""Reading a data set from its files to records, and no row lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from extract.records import Message, RatedResponse, Skipped
from extract.sources import SOURCES
from extract.sources.reader import read
from extract.sources.source import RawRow, Source
from tests.extract.files.written import touch


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
