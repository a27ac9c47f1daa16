"""The rows of a CSV or TSV file, whose first line names the columns."""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from extract.files.compression import beginning, opened
from extract.files.faults import FileFaultError, refuse_other_content
from extract.files.file_row import FileRow, doubled
from extract.files.json_lines import LONGEST
from extract.files.json_values import BAD_BYTE
from extract.files.malformed import Malformed

csv.field_size_limit(LONGEST)  # a setting of the whole process, by default too little for a long conversation


def delimited_rows(path: Path, columns: Collection[str] | None, delimiter: str) -> Iterator[FileRow | Malformed]:
    """Yield the rows in order, each cell as text; an empty cell is None, as CSV has no other sign for a missing value.

    Args:
        path: the file.
        columns: names of the columns to keep; None keeps all.
        delimiter: what stands between two cells.

    Raises:
        FileFaultError: a quote is never closed, or the header names a wanted column twice.
    """
    records = _records(path, delimiter)
    header = next(records, None)
    if header is None:
        return
    if isinstance(header, Malformed):
        raise FileFaultError(f"has a header that cannot be read ({header.reason}): correct its first line")
    twice = doubled(header, columns)
    if twice is not None:
        raise FileFaultError(f"names the column {twice[:40]!r} twice in its header: give one of the two another name")
    kept = [(name, place) for place, name in enumerate(header) if columns is None or name in columns]
    for cells in records:
        if isinstance(cells, Malformed):
            yield cells
        elif len(cells) != len(header):
            yield Malformed(f"the row has {len(cells)} cells, the header {len(header)}")
        else:
            yield _row({name: cells[place] or None for name, place in kept}, header)


def count_delimited_rows(path: Path, delimiter: str) -> int:
    """Number of rows that `delimited_rows` yields."""
    return max(sum(1 for _ in _records(path, delimiter)) - 1, 0)


def _row(values: dict[str, str | None], header: list[str]) -> FileRow | Malformed:
    for name, cell in values.items():
        if cell and not cell.isascii() and (found := BAD_BYTE.search(cell)):
            return Malformed(f"column '{name}' is not UTF-8: byte 0x{ord(found[0]) - 0xDC00:02x}")
    return FileRow(values, header)


def _records(path: Path, delimiter: str) -> Iterator[list[str] | Malformed]:
    """The header and the rows, without empty lines."""
    refuse_other_content(beginning(path, 64))
    with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text:  # type: ignore[type-var]  # has the methods
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if "end of data" in str(error) or "limit" in str(error):
                    raise FileFaultError(
                        f"opens a quote in the row on line {line} that is never closed: close it there, or double it"
                        " if it is part of the text"
                    ) from None
                lines = f"line {line}" if line == reader.line_num else f"lines {line} to {reader.line_num}"
                yield Malformed(f"the row on {lines} is not CSV: {error}")
                continue
            if cells is None:
                return
            if cells:
                yield cells
