"""The rows of a Parquet file, one at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from extract.files.malformed import Malformed

BATCH = 256
"""Number of rows of a Parquet file in memory at once; a row can contain a long conversation."""


def parquet_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    """Yield the rows in order."""
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH):
            yield from batch.to_pylist()
