"""The rows of a JSON file, one at a time: an array, or one object per line, whatever the file's name."""

from collections.abc import Collection, Iterator
from pathlib import Path

from extract.files.compression import beginning, opened
from extract.files.faults import refuse_other_content
from extract.files.file_row import FileRow
from extract.files.json_array import array_rows, count_elements
from extract.files.json_lines import BYTE_ORDER_MARK, count_lines, line_rows
from extract.files.json_shape import refuse_one_object
from extract.files.malformed import Malformed

BEGINNING = 2**16
"""Bytes that tell the shape of a file."""


def json_rows(path: Path, columns: Collection[str] | None) -> Iterator[FileRow | Malformed]:
    """Yield the rows of a JSON array, or of a file with one JSON object per line."""
    rows = array_rows if _is_array(path, columns) else line_rows
    with opened(path) as file:
        yield from rows(file, columns)


def count_json_rows(path: Path) -> int:
    """Number of rows that `json_rows` yields."""
    count = count_elements if _is_array(path, None) else count_lines
    with opened(path) as file:
        return count(file)


def _is_array(path: Path, columns: Collection[str] | None) -> bool:
    """Whether the file is an array; `FileFaultError` if it is neither that nor lines."""
    start = beginning(path, BEGINNING)
    refuse_other_content(start)
    text = start.removeprefix(BYTE_ORDER_MARK).decode(errors="surrogateescape").lstrip()
    if text.startswith("["):
        return True
    refuse_one_object(text, whole=len(start) < BEGINNING, columns=columns)
    return False
