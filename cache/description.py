"""`store.json`: what a store's vectors depend on, their size, and the format of its shards."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from cache.durable import write_text
from cache.errors import UserError
from cache.fingerprint import Fingerprint, digest_of
from cache.formats import FormatName
from cache.parsing import parse
from cache.precision import ITEM_BYTES, StoreDtype

VERSION = 1
"""Version of the layout on disk."""

FILE = "store.json"
"""File name inside a store."""

MOST_VALUES = 1 << 24
"""Largest hidden size that is taken for one."""

MOST_LAYERS = 1 << 10
"""Most layers of a row."""


@dataclass(frozen=True, slots=True)
class _Version:
    """The one thing that is read of a description of any version."""

    version: int


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """The fingerprint, size and format of a store's vectors."""

    fingerprint: Fingerprint
    hidden_size: int
    format: FormatName

    @property
    def dtype(self) -> StoreDtype:
        """Dtype of the stored values."""
        return self.fingerprint.store_dtype  # type: ignore[return-value]

    @property
    def layers(self) -> int:
        """Number of vectors per row."""
        return len(self.fingerprint.layers)

    @property
    def width(self) -> int:
        """Number of values per row: layers * hidden_size, layer after layer."""
        return self.layers * self.hidden_size

    @property
    def row_bytes(self) -> int:
        """Bytes of one row's vectors."""
        return self.width * ITEM_BYTES[self.dtype]

    @property
    def about(self) -> dict[str, str]:
        """Metadata that every shard carries, for readers without this program."""
        return {
            "fingerprint": str(self.fingerprint.digest),  # h5py takes no type derived from str
            "dtype": self.dtype,
            "layers": ",".join(map(str, self.fingerprint.layers)),
            "hidden_size": str(self.hidden_size),
        }

    def write(self, folder: Path) -> None:
        """Write it into a store's folder, durably."""
        body = {"version": VERSION, **asdict(self)}
        write_text(folder / FILE, json.dumps({**body, "checksum": digest_of(body)}, indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class _StoredDescription:
    """The file's content."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    version: int
    fingerprint: Fingerprint
    hidden_size: Annotated[int, Field(ge=1, le=MOST_VALUES)]
    format: FormatName
    checksum: str


def read_description(folder: Path) -> StoreDescription:
    """The description of the store in a folder.

    Raises:
        UserError: the file is missing, damaged or of another version, or the folder has another name.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"there is no feature store {folder}: run `armorm extract` first")
    text = path.read_bytes()
    try:
        version = parse(_Version, text).version
    except ValueError as error:
        raise _damaged(path, error) from None
    if version != VERSION:
        raise UserError(
            f"{path} has layout version {version}, this program reads {VERSION}:"
            f" move {folder} away, and run `armorm extract` again"
        )
    try:
        stored = parse(_StoredDescription, text)
        body = asdict(stored)
        if body.pop("checksum") != digest_of(body):
            raise ValueError("its checksum is another")
        description = StoreDescription(stored.fingerprint, stored.hidden_size, stored.format)
        layers, dtype = description.layers, description.dtype
        if not 1 <= layers <= MOST_LAYERS or dtype not in ITEM_BYTES:
            raise ValueError(f"it has {layers} layers of {dtype}")
    except ValueError as error:
        raise _damaged(path, error) from None
    if description.fingerprint.digest != folder.resolve().name:
        raise UserError(
            f"{path} holds the fingerprint {description.fingerprint.digest}: give the folder its own name back"
        )
    return description


def _damaged(path: Path, error: ValueError) -> UserError:
    return UserError(f"{path} is damaged ({error}): remove that file, and run `armorm extract`, which writes it again")
