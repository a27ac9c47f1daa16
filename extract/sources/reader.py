"""A data set from files to records: every raw row becomes at least one record or a skipped row."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from extract.files.malformed import Malformed
from extract.files.rows import read_rows
from extract.records import Record, Skipped
from extract.sources.source import BadRowError, RawRow, Source


def read(
    source: Source,
    paths: Iterable[Path],
    root: Path,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[Record | Skipped]:
    """Yield the records and skipped rows of a data set, in the order of its files and rows.

    Args:
        source: the schema.
        paths: the files of the data set.
        root: folder that file names in the names of rows are relative to.
        columns: names that the recipe gives: for rating sets objective -> column; for pairs and suites the column that
            the source reads -> the file's column.
        limit: maximum number of raw rows to read, over all files.

    Raises:
        UserError: a file cannot be read.
    """
    for where, values in islice(_rows(paths, root), limit):
        if isinstance(values, Malformed):
            yield Skipped(where, values.reason)
        else:
            yield from parse_row(source, _raw_row(source, values, where, columns or {}))


def _raw_row(source: Source, values: dict[str, Any], where: str, columns: Mapping[str, str]) -> RawRow:
    if source.kind == "ratings":
        return RawRow(values, where, columns)
    renamed = {name: values[column] for name, column in columns.items() if column in values}
    kept = {name: value for name, value in values.items() if name not in columns}
    return RawRow(kept | renamed, where)


def _rows(paths: Iterable[Path], root: Path) -> Iterator[tuple[str, dict[str, Any] | Malformed]]:
    for path in paths:
        file = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        for number, values in enumerate(read_rows(path)):
            yield f"{file.as_posix()}#{number}", values


def parse_row(source: Source, row: RawRow) -> Iterator[Record | Skipped]:
    """Yield the records of one raw row; any fault in it becomes a skipped row."""
    try:
        yield from source.parse(row)
    except BadRowError as reason:
        yield Skipped(row.where, str(reason), reason.subset)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # An unforeseen shape in one row of a million must not end the run.
        problem = f"{type(error).__name__}: {error}"[:200]
        yield Skipped(row.where, f"the row does not have the shape of the source '{source.name}' ({problem})")
