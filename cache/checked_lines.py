"""A journal: JSON objects, one per line, each line with its own checksum, only ever appended to.

Several writers may append to one journal: they take turns by a lock file, held while one line is written.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from cache.durable import naming, replacing, sync_folder
from cache.parsing import parse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """A line that ends with a newline."""

    number: int
    """Line number, from 1."""
    value: T | None
    """The object; None where the line is damaged or does not fit."""
    problem: str = ""
    """The end of a sentence that begins with the line."""


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for, then hold, the right to append to a journal."""
    with FileLock(path.with_suffix(".lock")):
        yield


def append(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Add one line per object, and make the lines durable, in a turn of its own; see `add`."""
    with turn(path):
        add(path, values)


def add(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Add one line per object and make the lines durable. Call it inside `turn`.

    A crash in between leaves a torn last line, which `read` ignores. An error, such as a full disk,
    leaves the file as it was. A torn line that a dead writer left is cut off first.
    """
    before = _drop_torn_line(path)
    try:
        with naming(path), path.open("ab") as file:
            file.write(b"".join(map(_line, values)))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        if path.exists():
            os.truncate(path, before)  # the next line must not be glued to half of this one
        raise
    sync_folder(path.parent)


def read(path: Path, kind: type[T]) -> list[Line[T]]:
    """All lines that end with a newline, in order, as values of one type; none if there is no file.

    Bytes after the last newline were torn by a crash, or are just being written; they are ignored.
    """
    return [_parsed(number, line, kind) for number, line in enumerate(whole_lines(path), start=1)]


def whole_lines(path: Path) -> list[bytes]:
    """The bytes of the lines that end with a newline, without it; none if there is no file."""
    # A pipe or a device in the file's place would never end.
    data = path.read_bytes() if path.is_file() else b""
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def rewrite(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Replace the file by these lines, at once and durably."""
    with replacing(path) as file:
        file.write(b"".join(map(_line, values)))


def _drop_torn_line(path: Path) -> int:
    """Cut off a last line without its newline, so that the next one starts on a new line; returns the file's size."""
    size = sum(len(line) + 1 for line in whole_lines(path))
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)
    return size


def _line(value: dict[str, Any]) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()  # ASCII, so no byte of it is a newline
    return body + f"\t{zlib.crc32(body):08x}\n".encode()


def _parsed(number: int, line: bytes, kind: type[T]) -> Line[T]:
    body, _, checksum = line.rpartition(b"\t")
    if checksum != f"{zlib.crc32(body):08x}".encode():
        return Line(number, None, "is damaged")
    try:
        return Line(number, parse(kind, body))
    except ValueError as error:
        return Line(number, None, f"holds nothing that belongs there ({error})")
