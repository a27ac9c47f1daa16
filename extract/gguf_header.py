"""The header of a GGUF file: its metadata and the table of its tensors, held against the file's length.

The layout is that of ggml's docs/gguf.md, versions 2 and 3. No number in a header is believed: whatever it counts has
to be in the file, and nothing is allocated for what is not. The tensors themselves are never read here.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from cache.errors import refusing

Value = bool | int | float | str
"""A value of the metadata; lists, such as the vocabulary, are passed over."""

REMEDY = "fetch it again, or name a GGUF file of version 2 or 3"

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_DIMENSIONS = 8
_TEXT, _LIST = 8, 9
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Number of a value's type -> its format in `struct`."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor by its entry in the table."""

    name: str
    shape: tuple[int, ...]
    """In torch's order, the slowest dimension first."""
    kind: int
    """ggml's number of its type: 0 is float32, 3 is Q4_1, …"""
    offset: int
    """Bytes from the beginning of the data."""

    @property
    def size(self) -> int:
        """Number of weights."""
        return torch.Size(self.shape).numel()


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The part of a GGUF file before its data."""

    path: Path
    metadata: dict[str, Value]
    tensors: tuple[GgufTensor, ...]
    data: int
    """Position of the first tensor's first byte."""

    @property
    def architecture(self) -> str:
        """The model's family, by ggml's name."""
        return str(self.metadata["general.architecture"])

    def of_family(self, key: str) -> Value | None:
        """A value whose key begins with the architecture, such as `block_count`; None if it is not there."""
        return self.metadata.get(f"{self.architecture}.{key}")


def read_header(path: Path) -> GgufHeader:
    """Read the header of a file.

    Raises:
        UserError: the file is no GGUF, of another version, cut, or damaged.
    """
    with (
        refusing(f"backbone.gguf_file: {path} cannot be read as a GGUF file", REMEDY),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return _Reader(content).header(path)


class _Reader:
    """Goes through the bytes of a header from the first one on."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.at = 0

    def header(self, path: Path) -> GgufHeader:
        if self.bytes(4) != _MAGIC:
            raise ValueError("it does not begin with GGUF")
        version = self.number("I")
        if version not in _VERSIONS:
            raise ValueError(f"it is of version {version}")
        tensors, values = self.number("Q"), self.number("Q")
        metadata = dict(self.values(values))
        if not isinstance(metadata.get("general.architecture"), str):
            raise ValueError("it names no architecture")
        table = tuple(self.tensors(tensors))
        alignment = int(metadata.get("general.alignment", 32))
        if alignment < 1:
            raise ValueError(f"its alignment is {alignment}")
        return GgufHeader(path, metadata, table, -(-self.at // alignment) * alignment)

    def values(self, count: int) -> Iterator[tuple[str, Value]]:
        """Each single value with its key. However many are announced, each takes bytes, and the file's end is met."""
        for _ in range(count):
            key, kind = self.text(), self.number("I")
            if kind == _LIST:
                self.pass_list()
            else:
                yield key, self.text() if kind == _TEXT else self.number(_NUMBERS[kind])

    def pass_list(self) -> None:
        kind, count = self.number("I"), self.number("Q")
        if kind == _TEXT:
            for _ in range(count):
                self.pass_bytes(self.number("Q"))
        else:
            self.pass_bytes(count * struct.calcsize(_NUMBERS[kind]))

    def tensors(self, count: int) -> Iterator[GgufTensor]:
        for _ in range(count):
            name, dimensions = self.text(), self.number("I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError(f"the tensor {name!r} has {dimensions:,} dimensions")
            shape = tuple(reversed([self.number("Q") for _ in range(dimensions)]))
            yield GgufTensor(name, shape, self.number("I"), self.number("Q"))

    def text(self) -> str:
        return self.bytes(self.number("Q")).decode("utf-8")

    def number(self, kind: str) -> int:
        """A number in little-endian order; floats too, whose type the caller knows."""
        (value,) = struct.unpack(f"<{kind}", self.bytes(struct.calcsize(kind)))
        return value

    def bytes(self, count: int) -> bytes:
        start = self.at
        self.pass_bytes(count)
        return self.content[start : self.at]

    def pass_bytes(self, count: int) -> None:
        if count > len(self.content) - self.at:
            raise ValueError(f"it ends at byte {len(self.content):,}, inside its header")
        self.at += count
