"""The rows of a file with one JSON object per line."""

import json
from collections.abc import Collection, Iterator
from functools import partial
from io import BufferedIOBase

from cache.errors import first_line
from extract.files.faults import FileFaultError
from extract.files.file_row import FileRow
from extract.files.json_values import is_text, json_row
from extract.files.malformed import Malformed

LONGEST = 64 * 2**20
"""Most bytes of a row; what is longer is a file of another shape, and would have to be in memory at once."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def line_rows(file: BufferedIOBase, columns: Collection[str] | None) -> Iterator[FileRow | Malformed]:
    """Yield the rows in order; a line that is not JSON becomes a `Malformed`, an empty one nothing."""
    for number, line in _lines(file):
        text = line.decode(errors="surrogateescape")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Malformed(f"line {number} is not JSON: {first_line(error)}")
            continue
        yield json_row(value, columns, f"line {number}", bad_bytes=not is_text(text))


def count_lines(file: BufferedIOBase) -> int:
    """Number of rows that `line_rows` yields."""
    return sum(1 for _ in _lines(file))


def _lines(file: BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers from 1."""
    for number, line in enumerate(iter(partial(file.readline, LONGEST), b""), start=1):
        if len(line) == LONGEST:
            raise FileFaultError(
                f"has more than {LONGEST // 2**20} MiB on line {number}, too much for a row: write one object per"
                " line, or one array of objects"
            )
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if line and not line.isspace():
            yield number, line
