"""`set-aside/` in a store: files that a repair takes out of the way and cannot prove to be this store's.

A shard of another store that was copied into the folder may be the only one, and a file that cannot be read may be
anything. The user looks at them, and removes the folder.
"""

import os
from itertools import count
from pathlib import Path

from cache.durable import sync_folder

FOLDER = "set-aside"
"""Folder inside a store; nothing reads it."""


def set_aside(folder: Path, path: Path) -> Path:
    """Move a file of a store there, durably, under its own name, or with a number behind it where that is taken.

    Args:
        folder: the store's folder, whose writer this process is.
        path: a file in `shards/` or `plans/`.

    Returns:
        Its new place.

    Raises:
        OSError: it cannot be moved.
    """
    aside = folder / FOLDER
    aside.mkdir(exist_ok=True)
    places = (aside / (path.name if number == 1 else f"{path.name}.{number}") for number in count(1))
    target = next(place for place in places if not os.path.lexists(place))
    path.rename(target)
    sync_folder(aside)
    sync_folder(folder)
    return target
