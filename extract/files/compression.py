"""Compressed files as streams of bytes."""

import bz2
import gzip
import io
import lzma
from io import BufferedIOBase
from pathlib import Path

import pyarrow

from extract.files.faults import FileFaultError

BEGINNINGS = {".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\0", ".bz2": b"BZh", ".parquet": b"PAR1"}
"""Suffix -> the first bytes of such a file. One in zstd can begin with a frame to be skipped, so it is not here."""


def refuse_other_suffix(path: Path, start: bytes) -> None:
    """Refuse a file whose first bytes do not fit its suffix; clients of HTTP decompress, and keep the name.

    Raises:
        FileFaultError: as said above.
    """
    expected = BEGINNINGS.get(path.suffix)
    if expected is None:
        for suffix, first in BEGINNINGS.items():
            if start.startswith(first) and path.suffix != ".arrow":
                raise FileFaultError(f"begins as a {suffix} file does: add {suffix} to its name")
    elif not start.startswith(expected):
        raise FileFaultError(
            f"does not begin as a {path.suffix} file does: name it after what it holds, or fetch it again"
        )


def opened(path: Path) -> BufferedIOBase:
    """The file's uncompressed bytes; its suffix says how it is compressed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".bz2":
        return bz2.open(path, "rb")
    if path.suffix == ".zst":
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))
    return path.open("rb")


def beginning(path: Path, size: int) -> bytes:
    """The first `size` uncompressed bytes of a file, or all of a shorter one."""
    with opened(path) as file:
        return file.read(size)
