"""The rows of a Parquet file, one at a time."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from extract.files.faults import FileFaultError
from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.files.record_batches import BATCH, batch_rows, wanted_columns

BUFFER = 2**20
"""Bytes of a column chunk in memory at once; without a bound the whole chunk, which may be all of a column."""


def parquet_rows(path: Path, columns: Collection[str] | None) -> Iterator[FileRow | Malformed]:
    """Yield the rows in order, decoding the wanted columns alone."""
    with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER) as file:
        names = file.schema_arrow.names
        wanted = wanted_columns(names, columns)
        try:
            for batch in file.iter_batches(batch_size=BATCH, columns=wanted):
                yield from batch_rows(batch, wanted, names)
        except pyarrow.ArrowInvalid as error:
            if "Invalid UTF8" not in str(error):
                raise
            # Arrow looks at all texts of such a column at once and says no place.
            raise FileFaultError(
                "has a text that is not UTF-8 in a column of the type dictionary, as pandas writes categories: write"
                " that column as plain text"
            ) from None


def count_parquet_rows(path: Path) -> int:
    """Number of rows that `parquet_rows` yields."""
    with pyarrow.parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
