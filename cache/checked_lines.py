"""A journal: JSON objects, one per line, each line with its own checksum, only ever appended to.

Several writers may append to one journal: they take turns by a lock file, held while one line is written.
"""

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from cache.durable import naming, replacing, sync_folder


@dataclass(frozen=True, slots=True)
class Line:
    """A line that ends with a newline."""

    number: int
    """Line number, from 1."""
    value: dict[str, Any] | None
    """The object; None where the line is damaged."""


def append(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Add one line per object and make the lines durable.

    A crash in between leaves a torn last line, which `read` ignores. An error, such as a full disk,
    leaves the file as it was. A torn line that a dead writer left is cut off first.
    """
    with FileLock(path.with_suffix(".lock")):
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


def read(path: Path) -> list[Line]:
    """All lines that end with a newline, in order; none if there is no file.

    Bytes after the last newline were torn by a crash, or are just being written; they are ignored.
    """
    whole, _ = _split(path)
    return [Line(number, _value(line)) for number, line in enumerate(whole, start=1)]


def _drop_torn_line(path: Path) -> int:
    """Cut off a last line without its newline, so that the next one starts on a new line; returns the file's size."""
    _, size = _split(path)
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)
    return size


def rewrite(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Replace the file by these lines, at once and durably."""
    with replacing(path) as file:
        file.write(b"".join(map(_line, values)))


def _line(value: dict[str, Any]) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()  # ASCII, so no byte of it is a newline
    return body + f"\t{zlib.crc32(body):08x}\n".encode()


def _value(line: bytes) -> dict[str, Any] | None:
    body, _, checksum = line.rpartition(b"\t")
    if checksum != f"{zlib.crc32(body):08x}".encode():
        return None
    value = json.loads(body)
    return value if isinstance(value, dict) else None


def _split(path: Path) -> tuple[list[bytes], int]:
    """The lines that end with a newline, and their total size in bytes."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    return whole.split(b"\n")[:-1], len(whole)
