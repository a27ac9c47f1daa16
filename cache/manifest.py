"""The manifest: one line per sealed shard. What it does not name does not exist."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cache import checked_lines
from cache.errors import DamageError

FILE = "manifest.jsonl"
"""File name inside a store."""


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One sealed shard."""

    shard: str
    """File name inside `shards/`."""
    store: str
    """Digest of the store's fingerprint, by which a line from another store is recognised."""
    rows: int
    bytes: int
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    index: str
    """SHA-256 of keys, token counts and row checksums; see `ShardIndex.digest`."""

    @property
    def name(self) -> str:
        """The shard's name: its file's without the suffix."""
        return self.shard.rsplit(".", 1)[0]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used."""

    number: int
    problem: str


def append(path: Path, entry: ShardEntry) -> None:
    """Add one line and make it durable."""
    checked_lines.append(path, [asdict(entry)])


def rewrite(path: Path, entries: Iterable[ShardEntry]) -> None:
    """Replace the manifest by these entries, at once and durably."""
    checked_lines.rewrite(path, map(asdict, entries))


def examine(path: Path, store: str) -> tuple[list[ShardEntry], list[BadLine]]:
    """The usable entries in order, and the lines that are not usable.

    A last line without its newline is ignored: its shard was never sealed.

    Args:
        path: the manifest.
        store: digest of the store's fingerprint.
    """
    entries: list[ShardEntry] = []
    bad: list[BadLine] = []
    named: set[str] = set()
    for line in checked_lines.read(path):
        try:
            entry = ShardEntry(**(line.value or {}))
        except TypeError:
            bad.append(BadLine(line.number, f"{path}, line {line.number}, is damaged"))
            continue
        if entry.store != store:
            problem = f"{path}, line {line.number}, names a shard of the store {entry.store}, not of {store}"
            bad.append(BadLine(line.number, problem))
        elif entry.shard in named:
            bad.append(BadLine(line.number, f"{path}, line {line.number}, names {entry.shard} a second time"))
        else:
            named.add(entry.shard)
            entries.append(entry)
    return entries, bad


def read(path: Path, store: str) -> list[ShardEntry]:
    """All entries, in order.

    Raises:
        DamageError: the file is missing, or a line is damaged or belongs to another store.
    """
    if not path.exists():
        raise DamageError(f"{path} is gone")
    entries, bad = examine(path, store)
    if bad:
        raise DamageError(bad[0].problem)
    return entries
