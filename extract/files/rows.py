"""The raw rows of a file of any kind that can be read."""

from collections.abc import Collection, Iterator
from pathlib import Path

from cache.errors import UserError
from extract.files.arrow_rows import arrow_rows, count_arrow_rows
from extract.files.compression import refuse_other_suffix
from extract.files.delimited_rows import count_delimited_rows, delimited_rows
from extract.files.faults import faults_of, refuse_other_content
from extract.files.file_row import FileRow
from extract.files.json_rows import count_json_rows, json_rows
from extract.files.kinds import KNOWN, Kind, kind_of
from extract.files.malformed import Malformed
from extract.files.parquet_rows import count_parquet_rows, parquet_rows

DELIMITERS: dict[Kind, str] = {"csv": ",", "tsv": "\t"}


def read_rows(path: Path, columns: Collection[str] | None = None) -> Iterator[FileRow | Malformed]:
    """Yield the rows of a file in order, without the whole file in memory.

    JSON that starts with '[' is read as an array, other JSON as one object per line, whatever the
    file's name: SHP names its JSON lines `train.json`.

    Args:
        path: the file.
        columns: names of the columns to read, by default all. The others are not looked at, so that a fault in one of
            them is no fault of the row.

    Raises:
        UserError: the file cannot be read, is damaged, of an unknown kind, or holds something else than rows.
    """
    with faults_of(path):
        kind = _kind(path)
        if kind == "json":
            yield from json_rows(path, columns)
        elif kind == "parquet":
            yield from parquet_rows(path, columns)
        elif kind == "arrow":
            yield from arrow_rows(path, columns)
        else:
            yield from delimited_rows(path, columns, DELIMITERS[kind])


def refuse_other_files(path: Path) -> None:
    """Refuse a file that `read_rows` does not read, by its name and its first bytes.

    Raises:
        UserError: as said.
    """
    with faults_of(path):
        _kind(path)


def count_rows(path: Path) -> int:
    """Number of rows that `read_rows` yields, malformed ones included, without making rows of them.

    Raises:
        UserError: as `read_rows`.
    """
    with faults_of(path):
        kind = _kind(path)
        if kind == "json":
            return count_json_rows(path)
        if kind == "parquet":
            return count_parquet_rows(path)
        if kind == "arrow":
            return count_arrow_rows(path)
        return count_delimited_rows(path, DELIMITERS[kind])


def _kind(path: Path) -> Kind:
    kind = kind_of(path)
    if kind is None:
        raise UserError(f"{path} is of an unknown kind: name files that end in {KNOWN}")
    with path.open("rb") as file:
        start = file.read(64)
    refuse_other_content(start)
    refuse_other_suffix(path, start)
    return kind
