"""The raw rows of a file of any kind that can be read."""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ijson

from cache.errors import UserError, first_line
from extract.files.json_rows import json_rows
from extract.files.malformed import Malformed
from extract.files.parquet_rows import parquet_rows

SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.xz", ".json.xz", ".parquet")
"""Suffixes of readable files. BeaverTails is compressed with xz, most others with gzip."""

POINTER = b"version https://git-lfs"
"""First bytes of a file that was cloned without its content."""


def read_rows(path: Path) -> Iterator[dict[str, Any] | Malformed]:
    """Yield the rows of a file in order, without the whole file in memory.

    JSON that starts with '[' is read as an array, other JSON as one object per line, whatever the
    file's name: SHP names its JSON lines `train.json`.

    Raises:
        UserError: the file cannot be read, is damaged or of an unknown kind.
    """
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path} is of an unknown kind: files may end in {', '.join(SUFFIXES)}")
    try:
        pointer = _begins_as_pointer(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): check its name and permissions") from None
    if pointer:
        raise UserError(f"{path} is a Git LFS pointer without its content: run `git lfs pull` in its repository")
    try:
        yield from parquet_rows(path) if path.suffix == ".parquet" else json_rows(path)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, ijson.JSONError) as error:
        raise UserError(f"{path} is damaged or cannot be read ({first_line(error)}): fetch it again") from error


def _begins_as_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def count_rows(path: Path) -> int:
    """Number of rows that `read_rows` yields.

    Raises:
        UserError: as `read_rows`.
    """
    return sum(1 for _ in read_rows(path))
