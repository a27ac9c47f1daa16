"""A data set from files to records: every raw row becomes at least one record or a skipped row."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from extract.files.file_row import FileRow
from extract.files.malformed import Malformed
from extract.files.rows import count_rows, read_rows
from extract.records import Record, Skipped
from extract.sources.draw import draw, row_name
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
        limit: maximum number of raw rows, drawn over all files (`extract.sources.draw`).

    Raises:
        UserError: a file cannot be read.
    """
    given = columns or {}
    for where, row in _rows(paths, root, {*source.columns, *given.values()}, limit):
        if isinstance(row, Malformed):
            yield Skipped(where, row.reason)
        else:
            yield from parse_row(source, _raw_row(source, row, where, given))


def _raw_row(source: Source, row: FileRow, where: str, given: Mapping[str, str]) -> RawRow:
    if source.kind == "ratings":
        return RawRow(row.values, where, given, row.columns)
    renamed = {name: row.values[column] for name, column in given.items() if column in row.values}
    kept = {name: value for name, value in row.values.items() if name not in given}
    return RawRow(kept | renamed, where, columns=row.columns)


def _rows(
    paths: Iterable[Path], root: Path, columns: set[str], limit: int | None
) -> Iterator[tuple[str, FileRow | Malformed]]:
    files = {path: _file_name(path, root) for path in paths}
    if limit is None:
        for path, name in files.items():
            for number, row in enumerate(read_rows(path, columns)):
                yield row_name(name, number), row
        return
    drawn = draw([(name, count_rows(path)) for path, name in files.items()], limit)
    for (path, name), numbers in zip(files.items(), drawn, strict=True):
        waiting = len(numbers)
        rows = enumerate(read_rows(path, columns))
        while waiting:
            number, row = next(rows)
            if number in numbers:
                waiting -= 1
                yield row_name(name, number), row


def _file_name(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else Path(path.name)).as_posix()


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
