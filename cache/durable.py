"""Writing files so that a crash leaves the old one or the new one, never a half."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import polars as pl

TEMPORARY = ".partial"
"""Suffix of files being written; nothing ever reads them."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put this file's name on system errors that carry none, such as those of a failed write."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path, suffix: str = TEMPORARY) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends without an error.

    The file is written under a temporary name, flushed, fsynced and renamed; then the folder is fsynced, without
    which the rename itself may be lost.

    Args:
        path: the file.
        suffix: of the temporary name; one of its own where several processes may write the same file at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + suffix)
    try:
        with naming(path), open(temporary, "wb", opener=_not_through_a_link) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _not_through_a_link(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, 0o666)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 in place of `path`, durably."""
    with replacing(path) as file:
        file.write(text.encode())


def write_frame(path: Path, frame: "pl.DataFrame") -> None:
    """Write a table as Parquet in place of `path`, durably.

    Raises:
        OSError: the file cannot be written; it names the file.
    """
    parquet = BytesIO()  # through memory: polars reports a full disk as a bug in Parquet, without the file's name
    frame.write_parquet(parquet)
    with replacing(path) as file:
        file.write(parquet.getbuffer())


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
