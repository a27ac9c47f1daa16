"""The rows of an Arrow file, one at a time: the format of files, or that of streams, which `datasets` saves."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import ipc, types

from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.files.nested_types import with_leaves
from extract.files.record_batches import batch_rows, wanted_columns

MAGIC = b"ARROW1"
"""First bytes of the format of files; a stream has none."""


def arrow_rows(path: Path, columns: Collection[str] | None) -> Iterator[FileRow | Malformed]:
    """Yield the rows in order, with the wanted columns alone. The file is mapped into memory, not read into it."""
    with pyarrow.memory_map(str(path)) as file:
        names = _reader(file, None).schema.names
        wanted = wanted_columns(names, columns)
        for batch in _batches(file, [names.index(name) for name in wanted]):
            _check(batch)
            yield from batch_rows(batch, wanted, names)


def count_arrow_rows(path: Path) -> int:
    """Number of rows that `arrow_rows` yields."""
    with pyarrow.memory_map(str(path)) as file:
        return sum(batch.num_rows for batch in _batches(file, [0]))


def _reader(file: Any, fields: list[int] | None) -> Any:
    options = ipc.IpcReadOptions(included_fields=fields)
    file.seek(0)
    is_file = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return ipc.open_file(file, options=options) if is_file else ipc.open_stream(file, options=options)


def _batches(file: Any, fields: list[int]) -> Iterator[Any]:
    """The batches with some of the columns; no field at all would mean every one, so the first stands for none."""
    reader = _reader(file, fields or [0])
    if isinstance(reader, ipc.RecordBatchFileReader):
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from reader


def _check(batch: Any) -> None:
    """Refuse a batch whose offsets point outside its buffers, which nothing has looked at so far.

    A value that its type does not allow, such as text that is not UTF-8, is its row's fault and not the batch's: values
    are looked at as bytes.

    Raises:
        pyarrow.ArrowInvalid: the batch is damaged.
    """
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid:
            _as_bytes(column).validate(full=True)


def _as_bytes(column: Any) -> Any:
    if types.is_dictionary(column.type):
        return pyarrow.DictionaryArray.from_arrays(column.indices, _as_bytes(column.dictionary))
    return column.view(with_leaves(column.type, _bytes))


def _bytes(kind: Any) -> Any:
    """A type of the same layout whose values cannot be wrong."""
    if types.is_string(kind):
        return pyarrow.binary()
    if types.is_large_string(kind):
        return pyarrow.large_binary()
    if types.is_string_view(kind):
        return pyarrow.binary_view()
    # Times of the day, whole days in milliseconds, and decimals of so many digits.
    bounded = types.is_time(kind) or types.is_date64(kind) or types.is_decimal(kind)
    return pyarrow.binary(kind.bit_width // 8) if bounded else kind
