"""Verification of every byte of a store, and repair by removing exactly what is damaged."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cache import manifest, plan_file, skipped_keys
from cache.description import StoreDescription, read_description
from cache.durable import sync_folder
from cache.errors import DamageError
from cache.lease import writer_lease
from cache.leftovers import Leftovers, find_leftovers, whole_shards
from cache.manifest import ShardEntry
from cache.names import ShardFile
from cache.progress import Progress, silent
from cache.sealed_shard import FOLDER, SealedShard, belongs, shard_path
from cache.set_aside import set_aside
from cache.shard_check import SeenKeys, check


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
    """One sentence per damaged line, shard and plan: what a repair mends."""
    damaged_lines: int = 0
    """Number of damaged lines of the manifest."""
    damaged_shards: list[str] = field(default_factory=list)
    """File names of the damaged shards."""
    rows_lost: int = 0
    """Number of rows in damaged shards; those of damaged lines are unknown."""
    leftovers: list[str] = field(default_factory=list)
    """Files in `shards/` that the manifest does not name. They do no harm: nothing reads them."""
    unnamed: list[str] = field(default_factory=list)
    """Leftovers that proved undamaged: a repair, or the next extraction, names them again."""
    adopted: list[str] = field(default_factory=list)
    """Leftovers that proved undamaged and are named by the manifest again."""
    set_aside: list[str] = field(default_factory=list)
    """New places of files that a repair took out and that are not, or not provably, this store's."""
    kept: list[str] = field(default_factory=list)
    """One sentence per thing that is in the way, and that no repair touches."""
    repaired: bool = False
    """Whether the damage was removed."""

    @property
    def whole(self) -> bool:
        """Whether nothing is to be done."""
        return not self.kept and (self.repaired or not (self.problems or self.unnamed))


@dataclass(slots=True)
class _Examined:
    """The findings that a repair goes by."""

    entries: list[ShardEntry]
    """The undamaged shards that the manifest names."""
    damaged: list[ShardFile]
    leftovers: Leftovers
    unnamed: list[ShardEntry]
    """The undamaged shards that it does not name."""
    plans: list[Path]
    """The damaged ones."""


def verify(folder: Path, *, repair: bool = False, progress: Progress = silent) -> Findings:
    """Check the description, every line, every plan, and everything about every shard that is named.

    The checks of a shard are its size, its SHA-256, its number of rows, its index, that none of its keys comes twice
    in the store, each row's checksum, and that all values are finite.

    Args:
        folder: the store's folder.
        repair: rewrite the manifest without the damaged lines and shards, so that the next extraction
            computes their rows, and take those shards out. Leftovers that prove undamaged, such as the
            shard of a damaged line, are named again; the others are taken out. A file is removed if it says itself
            that it is this store's shard, or is temporary; any other one is moved to `set-aside/`. Nothing is touched
            but files in `shards/` and `plans/`, and a crash at any moment leaves a store that can be read and repaired
            again.
        progress: called with the number of shards checked.

    Raises:
        UserError: there is no store, its description is damaged, or (with `repair`) another process writes to it, or
            something in it is a link.
    """
    description = read_description(folder)
    with writer_lease(folder) if repair else contextlib.nullcontext():
        findings = Findings()
        examined = _examine(folder, description, findings, progress)
        if repair and (findings.problems or findings.leftovers):
            _repair(folder, description, examined, findings)
    return findings


def _examine(folder: Path, description: StoreDescription, findings: Findings, progress: Progress) -> _Examined:
    path = folder / manifest.FILE
    lost = manifest.lost_lines(path)
    entries, bad_lines = manifest.examine(path, description.fingerprint.digest)
    findings.problems += [line.problem for line in bad_lines] or ([lost] if lost is not None else [])
    findings.damaged_lines = len(bad_lines)
    findings.shards = len(entries)
    seen = SeenKeys()
    whole: list[ShardEntry] = []
    damaged: list[ShardFile] = []
    for number, entry in enumerate(entries, start=1):
        try:
            keys = check(SealedShard(folder, entry, description), description)
            seen.add(keys, entry)
        except DamageError as error:
            findings.problems.append(error.problem)
            findings.damaged_shards.append(entry.shard)
            findings.rows_lost += entry.rows
            damaged.append(entry.shard)
        else:
            whole.append(entry)
            findings.rows += entry.rows
            findings.bytes += entry.bytes
        progress("verifying", number, len(entries), "shards")
    left = find_leftovers(folder, entries)
    unnamed = list(whole_shards(folder, description, left.shards, seen))
    if unnamed:  # a writer may have named them meanwhile
        named = {entry.shard for entry in manifest.examine(path, description.fingerprint.digest)[0]}
        unnamed = [entry for entry in unnamed if entry.shard not in named]
    plans = {plan: problem for plan in plan_file.plans(folder) if (problem := plan_file.problem(plan)) is not None}
    findings.problems += [*skipped_keys.problems(folder / skipped_keys.FILE), *plans.values()]
    findings.leftovers = sorted([*left.shards, *(file.name for file in left.unfinished)])
    findings.unnamed = [entry.shard for entry in unnamed]
    findings.kept = [f"{_shown(strange)} is no shard: move it away" for strange in left.strange]
    return _Examined(whole, damaged, left, unnamed, list(plans))


def _repair(folder: Path, description: StoreDescription, examined: _Examined, findings: Findings) -> None:
    """Name what is whole, then take out what is not named."""
    # A crash in between leaves files without an entry, never an entry without its file.
    manifest.rewrite(folder / manifest.FILE, [*examined.entries, *examined.unnamed])
    if skipped_keys.problems(folder / skipped_keys.FILE):
        skipped_keys.drop_bad_lines(folder / skipped_keys.FILE)
    for entry in examined.unnamed:
        findings.adopted.append(entry.shard)
        findings.rows += entry.rows
        findings.bytes += entry.bytes
    for path, own in _unwanted(folder, description, examined):
        try:
            if own:
                path.unlink(missing_ok=True)
            elif path.is_file():
                findings.set_aside.append(_shown(set_aside(folder, path)))
            elif path.exists():
                findings.kept.append(f"{_shown(path)} is no shard: move it away")
        except OSError as error:
            findings.kept.append(f"{_shown(path)} cannot be moved or removed ({error.strerror}): move it away")
    for part in (folder / FOLDER, folder / plan_file.FOLDER):
        if part.is_dir():
            sync_folder(part)
    findings.repaired = True


def _unwanted(folder: Path, description: StoreDescription, examined: _Examined) -> Iterator[tuple[Path, bool]]:
    """Files in `shards/` and `plans/` that no line names any more, each with whether it is provably this store's."""
    named = {entry.shard for entry in (*examined.entries, *examined.unnamed)}
    for name in sorted({*examined.damaged, *examined.leftovers.shards} - named):
        yield shard_path(folder, name), belongs(folder, name, description)
    for path in examined.leftovers.unfinished:
        yield path, True
    for path in examined.plans:
        yield path, False


def _shown(path: Path) -> str:
    """A path that a terminal can print."""
    return str(path) if str(path).isprintable() else ascii(str(path))
