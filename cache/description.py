"""`store.json`: what a store's vectors depend on, their size, and the format of its shards."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cache.durable import write_text
from cache.errors import UserError
from cache.fingerprint import Fingerprint, digest_of
from cache.formats import FORMATS, FormatName
from cache.precision import ITEM_BYTES, StoreDtype

VERSION = 1
"""Version of the layout on disk."""

FILE = "store.json"
"""File name inside a store."""


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
            "fingerprint": self.fingerprint.digest,
            "dtype": self.dtype,
            "layers": ",".join(map(str, self.fingerprint.layers)),
            "hidden_size": str(self.hidden_size),
        }

    def write(self, folder: Path) -> None:
        """Write it into a store's folder, durably."""
        body = {"version": VERSION, **asdict(self)}
        write_text(folder / FILE, json.dumps({**body, "checksum": digest_of(body)}, indent=2) + "\n")


def read_description(folder: Path) -> StoreDescription:
    """The description of the store in a folder.

    Raises:
        UserError: the file is missing, damaged or of another version, or the folder has another name.
    """
    path = folder / FILE
    if not path.exists():
        raise UserError(f"there is no feature store {folder}: run `armorm extract` first")
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        version = body["version"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if version != VERSION:
        raise UserError(
            f"{path} has layout version {version}, this program reads {VERSION}:"
            f" move {folder} away, and run `armorm extract` again"
        )
    try:
        if body.pop("checksum") != digest_of(body) or body["format"] not in FORMATS:
            raise ValueError
        fields = body["fingerprint"]
        fingerprint = Fingerprint(**{**fields, "layers": tuple(fields["layers"])})
        description = StoreDescription(fingerprint, body["hidden_size"], body["format"])
    except (ValueError, KeyError, TypeError):
        raise _damaged(path) from None
    if fingerprint.digest != folder.resolve().name:
        raise UserError(f"{path} holds the fingerprint {fingerprint.digest}: give the folder its own name back")
    return description


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: remove that file, and run `armorm extract`, which writes it again")
