"""Compressed files as streams of bytes."""

import bz2
import gzip
import io
import lzma
from io import BufferedIOBase
from pathlib import Path

import pyarrow


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
