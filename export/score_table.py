"""Scored rows as a table: JSON lines made into Parquet or CSV, at once or not at all.

A column of Parquet has one type. It is the least that holds all values of the column exactly: 1 and 0.5 are both
floats, objects with different keys are structures with nulls. A column whose values have no such type in common (a text
here, a list there), and in CSV every list and object, is written as JSON texts.
"""

import csv
import io
import json
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from cache.durable import replacing

BATCH = 1024
"""Rows in memory at once."""

MOST_FIELDS = 1024
"""Most fields of a structure: objects with more keys among them are data, not a structure."""

EXACT = 2**53
"""Integers up to it are floats without rounding."""

Type = str | tuple[str, "Type"] | dict[str, "Type"]
"""A name, ("list", type of the items), or a structure's fields."""

PLAIN = {
    "null": pyarrow.null(),
    "bool": pyarrow.bool_(),
    "integer": pyarrow.int64(),
    "large integer": pyarrow.int64(),
    "float": pyarrow.float64(),
    "text": pyarrow.string(),
}


class _NoTypeError(Exception):
    """Values have no type in common."""


def write_table(lines: Path, out: Path) -> None:
    """Write the rows of a file of JSON lines as a table in place of `out`, durably.

    Args:
        lines: an object a line.
        out: ends in .parquet or .csv.
    """
    with replacing(out) as file:
        if out.suffix == ".parquet":
            _write_parquet(lines, file)
        else:
            _write_csv(lines, file)


def _rows(lines: Path) -> Iterator[dict[str, Any]]:
    with lines.open("rb") as file:
        yield from map(json.loads, file)


def _write_parquet(lines: Path, file: BinaryIO) -> None:
    types: dict[str, Type | None] = {}  # None: no type in common
    for row in _rows(lines):
        for name, value in row.items():
            try:
                common = types.get(name, "null")
                types[name] = None if common is None else _both(common, _type(value))
            except _NoTypeError:
                types[name] = None
    as_json = {name for name, common in types.items() if common is None}
    schema = pyarrow.schema([(name, _arrow(common or "text")) for name, common in types.items()])
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        waiting = _rows(lines)
        while rows := list(islice(waiting, BATCH)):
            shown = [{name: _json(value) if name in as_json else value for name, value in row.items()} for row in rows]
            writer.write_table(pyarrow.Table.from_pylist(shown, schema=schema))


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _type(value: Any) -> Type:
    """The type of one value."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            if not -(2**63) <= value < 2**63:
                raise _NoTypeError
            return "integer" if abs(value) <= EXACT else "large integer"
        case float():
            return "float"
        case str():
            return "text"
        case list():
            empty: Type = "null"
            return "list", reduce(_both, map(_type, value), empty)
        case _:
            return _structure({name: _type(each) for name, each in value.items()})


def _both(one: Type, other: Type) -> Type:
    """The least type that holds the values of two."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    if isinstance(one, tuple) and isinstance(other, tuple):
        return "list", _both(one[1], other[1])
    if isinstance(one, dict) and isinstance(other, dict):
        return _structure({name: _both(one.get(name, "null"), other.get(name, "null")) for name in one | other})
    if isinstance(one, str) and isinstance(other, str):
        for wider in ("large integer", "float"):
            if {one, other} == {"integer", wider}:
                return wider
    raise _NoTypeError


def _structure(fields: dict[str, Type]) -> Type:
    if not 0 < len(fields) <= MOST_FIELDS:  # Parquet has no structure without fields
        raise _NoTypeError
    return fields


def _arrow(common: Type) -> pyarrow.DataType:
    if isinstance(common, str):
        return PLAIN[common]
    if isinstance(common, tuple):
        return pyarrow.list_(_arrow(common[1]))
    return pyarrow.struct([(name, _arrow(each)) for name, each in common.items()])


def _write_csv(lines: Path, file: BinaryIO) -> None:
    names = list(dict.fromkeys(name for row in _rows(lines) for name in row))
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    for row in _rows(lines):
        writer.writerow([_cell(row.get(name)) for name in names])
    text.flush()
    text.detach()  # `file` is closed by its owner


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
