"""The rows of a JSON file, one at a time."""

import json
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import ijson

from cache.errors import first_line
from extract.files.compression import opened
from extract.files.malformed import Malformed


def json_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    """Yield the rows of a JSON array, or of a file with one JSON object per line."""
    with opened(path) as file:
        start = file.read(4096)
        marked = start.startswith(b"\xef\xbb\xbf")  # a byte order mark, which no JSON reader takes
        file.seek(3 if marked else 0)
        array = start[3 if marked else 0 :].lstrip().startswith(b"[")
        yield from _array_rows(file) if array else _line_rows(file)


def _array_rows(file: BufferedIOBase) -> Iterator[dict[str, Any] | Malformed]:
    for row in ijson.items(file, "item", use_float=True):
        yield row if isinstance(row, dict) else Malformed(f"the row is {type(row).__name__}, expected an object")


def _line_rows(file: BufferedIOBase) -> Iterator[dict[str, Any] | Malformed]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Malformed(f"line {number} is not JSON: {first_line(error)}")
            continue
        yield row if isinstance(row, dict) else Malformed(f"line {number} is {type(row).__name__}, expected an object")
