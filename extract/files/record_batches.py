"""The rows of Arrow record batches, as Parquet and Arrow files hold them."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow
from pyarrow import types

from cache.errors import first_line
from extract.files.faults import FileFaultError
from extract.files.file_row import FileRow, doubled
from extract.files.malformed import Malformed
from extract.files.nested_types import with_leaves

BATCH = 256
"""Number of rows that are Python objects at once; a row can contain a long conversation."""

UNCONVERTIBLE = (ArithmeticError, LookupError, TypeError, ValueError, pyarrow.ArrowException)
"""Exceptions of values that Python cannot hold: a date far away, a text that is not UTF-8, a map with a key twice."""


def wanted_columns(names: Sequence[str], columns: Collection[str] | None) -> list[str]:
    """The names of a file's columns that are to be read, in the file's order.

    Raises:
        FileFaultError: one of them stands there twice.
    """
    twice = doubled(names, columns)
    if twice is not None:
        raise FileFaultError(f"has two columns {twice[:40]!r}: give one of the two another name")
    return [name for name in names if columns is None or name in columns]


def batch_rows(batch: Any, wanted: Sequence[str], names: Sequence[str]) -> Iterator[FileRow | Malformed]:
    """Yield the rows of a batch, structs and maps as dictionaries.

    Args:
        batch: a `pyarrow.RecordBatch` with the wanted columns.
        wanted: names of the columns to keep.
        names: names of all columns of the file.
    """
    for start in range(0, batch.num_rows, BATCH):
        part = batch.slice(start, BATCH)
        held = [_python_values(part.column(name), name) for name in wanted]
        for values in zip(*held, strict=True) if held else [()] * part.num_rows:
            fault = next((value for value in values if isinstance(value, Malformed)), None)
            yield FileRow(dict(zip(wanted, values, strict=True)), names) if fault is None else fault


def _python_values(column: Any, name: str) -> list[Any]:
    """A column's values as Python objects, a `Malformed` for each that Python cannot hold."""
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    plain = with_leaves(column.type, _plain)
    try:
        # Not by `to_pylist` alone: it needs pandas for nanoseconds, and a database of time zones for instants.
        plainer = column if plain == column.type else column.cast(plain, safe=False)
    except pyarrow.ArrowException:
        plainer = column
    try:
        return list(plainer.to_pylist(maps_as_pydicts="strict"))
    except UNCONVERTIBLE:
        return [_python_value(scalar, name) for scalar in plainer]


def _python_value(scalar: Any, name: str) -> Any:
    try:
        return scalar.as_py(maps_as_pydicts="strict")
    except UnicodeDecodeError as error:
        return Malformed(f"column '{name}' is not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}")
    except UNCONVERTIBLE as error:
        return Malformed(f"column '{name}' cannot be read: {first_line(error)}")


def _plain(kind: Any) -> Any:
    """A type of times without their zone, and no finer than the microseconds of Python; no source uses a time."""
    if types.is_timestamp(kind):
        return pyarrow.timestamp("us" if kind.unit == "ns" else kind.unit)
    if types.is_duration(kind) and kind.unit == "ns":
        return pyarrow.duration("us")
    return pyarrow.time64("us") if types.is_time64(kind) else kind
