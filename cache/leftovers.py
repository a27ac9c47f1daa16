"""Files in `shards/` that the manifest does not name, and taking up those that are whole shards of this store.

A run that died between a shard and its line leaves one; a manifest that lost lines leaves many.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.description import StoreDescription
from cache.durable import TEMPORARY
from cache.errors import DamageError
from cache.formats import FORMATS
from cache.manifest import ShardEntry
from cache.names import ShardFile
from cache.sealed_shard import FOLDER, SealedShard, describe
from cache.shard_check import SeenKeys, check


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files in `shards/` beside the shards that the manifest names. Others there are the user's own."""

    shards: tuple[ShardFile, ...]
    """Files with the name of a shard."""
    unfinished: tuple[Path, ...]
    """Temporary files of a writer that died, or writes."""
    strange: tuple[Path, ...]
    """Entries with a shard's suffix that cannot be shards: folders, pipes, and names that no shard has."""


def find_leftovers(folder: Path, entries: Iterable[ShardEntry]) -> Leftovers:
    """Look for them in a store's folder; nothing is opened."""
    named = {entry.shard for entry in entries}
    suffixes = {form.suffix for form in FORMATS.values()}
    shards, unfinished, strange = [], [], []
    for path in sorted((folder / FOLDER).glob("*")):
        if path.name in named:
            continue
        if path.suffix == TEMPORARY and path.is_file():
            unfinished.append(path)
        elif path.suffix in suffixes:
            try:
                name = ShardFile(path.name)
            except ValueError:
                strange.append(path)
            else:
                (shards.append(name) if path.is_file() else strange.append(path))
        elif path.suffix == TEMPORARY:
            strange.append(path)
    return Leftovers(tuple(shards), tuple(unfinished), tuple(strange))


def whole_shards(
    folder: Path, description: StoreDescription, names: Iterable[ShardFile], seen: SeenKeys
) -> Iterator[ShardEntry]:
    """The entries of those that say they are this store's, prove undamaged, and have no key that was seen before."""
    for name in names:
        try:
            entry = describe(folder, name, description)
            keys = check(SealedShard(folder, entry, description), description)
            seen.add(keys, entry)
        except DamageError:
            continue
        yield entry
