"""A store is written in files of its own: a link or a pipe in it could make a writer touch what lies elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path

from cache import plan_file
from cache.errors import UserError
from cache.sealed_shard import FOLDER


def refuse_links(folder: Path) -> None:
    """See that a store may be written; to be called before the first file in it is opened for writing.

    Raises:
        UserError: something in its folder, in `shards/` or in `plans/` is neither a file nor a folder.
    """
    for entry in _entries(folder):
        if entry.is_symlink() or not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
            shown = entry.path if entry.path.isprintable() else ascii(entry.path)
            raise UserError(
                f"{shown} is a link or no file, through which a store is not written: move it away, or name another"
                " store.root"
            )


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    for part in (folder, folder / FOLDER, folder / plan_file.FOLDER):
        if part.is_dir() and not (part != folder and part.is_symlink()):
            with os.scandir(part) as entries:
                yield from entries
