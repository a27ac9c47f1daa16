"""The manifest: one line per sealed shard. What it does not name does not exist.

A line has a checksum of its own, and `manifest.count` vouches for the number of lines; see `cache.line_count`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from cache import checked_lines, line_count
from cache.errors import DamageError
from cache.line_count import Sha256
from cache.names import ShardFile, StoreName

FILE = "manifest.jsonl"
"""File name inside a store."""

Count = Annotated[int, Field(ge=0, lt=1 << 63)]


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One sealed shard."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    shard: ShardFile
    """File name inside `shards/`."""
    store: StoreName
    """Digest of the store's fingerprint, by which a line from another store is recognised."""
    rows: Count
    bytes: Count
    sha256: Sha256
    """SHA-256 of the file, hexadecimal."""
    index: Sha256
    """SHA-256 of keys, token counts and row checksums; see `ShardIndex.digest`."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used."""

    number: int
    problem: str


def append(path: Path, entry: ShardEntry) -> None:
    """Add one line and make it durable.

    Raises:
        DamageError: the manifest is gone, or has lost lines.
    """
    with checked_lines.turn(path):
        _refuse_lost_lines(path)
        checked_lines.add(path, [asdict(entry)])
        line_count.write(path)


def rewrite(path: Path, entries: Iterable[ShardEntry]) -> None:
    """Replace the manifest by these entries, at once and durably."""
    with checked_lines.turn(path):
        line_count.remove(path)  # first: a crash then leaves lines that nothing counts, as version 0.2 wrote them
        checked_lines.rewrite(path, map(asdict, entries))
        line_count.write(path)


def count(path: Path) -> None:
    """Count lines that nothing vouches for yet: those of version 0.2, or of a writer that died.

    Raises:
        DamageError: the manifest is gone, or has lost lines.
    """
    with checked_lines.turn(path):
        _refuse_lost_lines(path)
        line_count.write(path)


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
    for line in checked_lines.read(path, ShardEntry):
        entry = line.value
        if entry is None:
            bad.append(BadLine(line.number, f"{path}, line {line.number}, {line.problem}"))
        elif entry.store != store:
            problem = f"{path}, line {line.number}, names a shard of the store {entry.store}, not of {store}"
            bad.append(BadLine(line.number, problem))
        elif entry.shard in named:
            bad.append(BadLine(line.number, f"{path}, line {line.number}, names {entry.shard} a second time"))
        else:
            named.add(entry.shard)
            entries.append(entry)
    return entries, bad


def lost_lines(path: Path) -> str | None:
    """One sentence, without the remedy, if the manifest is gone or has lost lines."""
    if not path.is_file():
        return f"{path} is gone"
    return line_count.problem(path)


def read(path: Path, store: str) -> list[ShardEntry]:
    """All entries, in order.

    Raises:
        DamageError: the file is missing or has lost lines, or a line is damaged or belongs to another store.
    """
    lost = lost_lines(path)  # before the lines are read: a writer adds the line first, and counts it then
    entries, bad = examine(path, store)
    if bad or lost:
        raise DamageError(bad[0].problem if bad else str(lost))
    return entries


def _refuse_lost_lines(path: Path) -> None:
    if (problem := lost_lines(path)) is not None:
        raise DamageError(problem)
