"""Verification of every byte of a store, and repair by removing exactly what is damaged."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cache import manifest
from cache.description import StoreDescription, read_description
from cache.durable import TEMPORARY, sync_folder
from cache.errors import DamageError
from cache.formats import FORMATS
from cache.keys import KeyIndex, Keys
from cache.lease import writer_lease
from cache.manifest import ShardEntry
from cache.precision import from_storage
from cache.progress import Progress, silent
from cache.sealed_shard import FOLDER, SealedShard, describe, sha256

BLOCK_BYTES = 32 << 20
"""Size of the vectors that are checked at once."""


@dataclass(slots=True)
class Findings:
    """The result of a verification."""

    shards: int = 0
    """Number of shards that the manifest names, damaged ones included."""
    rows: int = 0
    """Number of rows in undamaged shards."""
    bytes: int = 0
    """Size of the undamaged shards."""
    problems: list[str] = field(default_factory=list)
    """One sentence per damaged line and shard."""
    damaged_lines: int = 0
    """Number of damaged lines of the manifest."""
    damaged_shards: list[str] = field(default_factory=list)
    """File names of the damaged shards."""
    rows_lost: int = 0
    """Number of rows in damaged shards; those of damaged lines are unknown."""
    leftovers: list[str] = field(default_factory=list)
    """Files in `shards/` that the manifest does not name. They do no harm: nothing reads them."""
    adopted: list[str] = field(default_factory=list)
    """Leftovers that proved undamaged and are named by the manifest again."""
    repaired: bool = False
    """Whether the damage was removed."""


def verify(folder: Path, *, repair: bool = False, progress: Progress = silent) -> Findings:
    """Check every manifest line, and everything about every shard it names.

    The checks of a shard are its size, its SHA-256, its number of rows, its index, that none of its keys comes twice
    in the store, each row's checksum, and that all values are finite.

    Args:
        folder: the store's folder.
        repair: rewrite the manifest without the damaged lines and shards, so that the next extraction
            computes their rows, and remove those shards. Leftovers that prove undamaged, such as the
            shard of a damaged line, are named again; the others are removed.
        progress: called with the number of shards checked.

    Raises:
        UserError: there is no store, its description is damaged, or (with `repair`) another process writes to it.
    """
    description = read_description(folder)
    with writer_lease(folder) if repair else contextlib.nullcontext():
        findings, whole, seen = _examine(folder, description, progress)
        if repair and (findings.problems or findings.leftovers):
            _adopt(folder, description, findings, whole, seen)
            _rewrite(folder, findings, whole)
            findings.repaired = True
    return findings


def leftovers(folder: Path, entries: list[ShardEntry]) -> list[Path]:
    """Shards that no entry names, and temporary files: left by a run that died, or by a damaged manifest line."""
    named = {entry.shard for entry in entries}
    suffixes = {TEMPORARY, *(form.suffix for form in FORMATS.values())}
    return [path for path in sorted((folder / FOLDER).glob("*")) if path.suffix in suffixes and path.name not in named]


def _examine(
    folder: Path, description: StoreDescription, progress: Progress
) -> tuple[Findings, list[ShardEntry], "_SeenKeys"]:
    path = folder / manifest.FILE
    findings = Findings()
    if not path.exists():
        findings.problems.append(f"{path} is gone")
    entries, bad_lines = manifest.examine(path, description.fingerprint.digest)
    findings.problems += [line.problem for line in bad_lines]
    findings.damaged_lines = len(bad_lines)
    findings.shards = len(entries)
    whole: list[ShardEntry] = []
    seen = _SeenKeys()
    for number, entry in enumerate(entries, start=1):
        try:
            keys = _check(SealedShard(folder, entry, description), description)
            seen.add(keys, entry)
        except DamageError as error:
            findings.problems.append(error.problem)
            findings.damaged_shards.append(entry.shard)
            findings.rows_lost += entry.rows
        else:
            whole.append(entry)
            findings.rows += entry.rows
            findings.bytes += entry.bytes
        progress("verifying", number, len(entries), "shards")
    findings.leftovers = [left.name for left in leftovers(folder, entries)]
    return findings, whole, seen


def _check(shard: SealedShard, description: StoreDescription) -> Keys:
    """Check everything about one shard and return its keys. Shape (rows, 16).

    Raises:
        DamageError: something about it is not as it was sealed.
    """
    shard.check_size()
    if sha256(shard.path) != shard.entry.sha256:
        raise DamageError(f"{shard.path} does not match its SHA-256")
    index = shard.index()
    block = max(1, BLOCK_BYTES // description.row_bytes)
    with shard.open() as opened:
        for start in range(0, len(index), block):
            rows = np.arange(start, min(start + block, len(index)))
            stored = opened.values(rows, index.keys[rows], index.n_tokens[rows], index.checksums[rows])
            finite = np.isfinite(from_storage(stored, description.dtype)).all(axis=-1)  # (rows,)
            if not finite.all():
                raise DamageError(f"row {rows[~finite][0]} of {shard.path} is not finite")
    return index.keys


class _SeenKeys:
    """The keys of all shards so far, in a few large indexes instead of one per shard."""

    def __init__(self) -> None:
        self._indexes: list[tuple[Keys, KeyIndex]] = []

    def add(self, keys: Keys, entry: ShardEntry) -> None:
        """Add a shard's keys.

        Raises:
            DamageError: one of them was added before.
        """
        twice = len(np.unique(keys, axis=0)) < len(keys)
        if twice or any((index.find(keys) >= 0).any() for _, index in self._indexes):
            raise DamageError(f"{entry.shard} holds a key that the store has already")
        merged = keys
        while self._indexes and len(self._indexes[-1][0]) <= len(merged):
            merged = np.concatenate([self._indexes.pop()[0], merged])
        self._indexes.append((merged, KeyIndex(merged)))


def _adopt(
    folder: Path, description: StoreDescription, findings: Findings, whole: list[ShardEntry], seen: _SeenKeys
) -> None:
    """Name the leftovers that prove undamaged, so that their rows need not be computed again."""
    for name in findings.leftovers:
        try:
            entry = describe(folder, name, description)
            keys = _check(SealedShard(folder, entry, description), description)
            seen.add(keys, entry)
        except DamageError:
            continue
        whole.append(entry)
        findings.adopted.append(name)
        findings.rows += entry.rows
        findings.bytes += entry.bytes


def _rewrite(folder: Path, findings: Findings, whole: list[ShardEntry]) -> None:
    # The manifest first: a crash in between leaves files without an entry, never an entry without its file.
    manifest.rewrite(folder / manifest.FILE, whole)
    named = {entry.shard for entry in whole}
    for name in {*findings.damaged_shards, *findings.leftovers} - named:
        (folder / FOLDER / name).unlink(missing_ok=True)
    if (folder / FOLDER).exists():
        sync_folder(folder / FOLDER)
