"""A data set from files to records: every raw row becomes at least one record or a skipped row."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.files.rows import read_rows
from extract.records import Record, Skipped
from extract.sources.source import BadRowError, RawRow, Source


def read(
    source: Source,
    paths: Iterable[Path],
    root: Path,
    objectives: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[Record | Skipped]:
    """Yield the records and skipped rows of a data set, in the order of its files and rows.

    Args:
        source: the schema.
        paths: the files of the data set.
        root: folder that file names in the names of rows are relative to.
        objectives: objective -> column, for sources whose rating columns the recipe names.
        limit: maximum number of raw rows to read, over all files.

    Raises:
        UserError: a file cannot be read.
    """
    named = objectives or {}
    for where, row in islice(_rows(paths, root, {*source.columns, *named.values()}), limit):
        if isinstance(row, Malformed):
            yield Skipped(where, row.reason)
        else:
            yield from parse_row(source, RawRow(row.values, where, named, row.columns))


def _rows(paths: Iterable[Path], root: Path, columns: set[str]) -> Iterator[tuple[str, FileRow | Malformed]]:
    for path in paths:
        file = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        for number, row in enumerate(read_rows(path, columns)):
            yield f"{file.as_posix()}#{number}", row


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
