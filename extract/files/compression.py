"""Compressed files as streams of bytes."""

import gzip
import lzma
from io import BufferedIOBase
from pathlib import Path


def opened(path: Path) -> BufferedIOBase:
    """The file's uncompressed bytes; its suffix says how it is compressed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    return path.open("rb")
