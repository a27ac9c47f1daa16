"""Reading a damaged file of answers row by row: what can be read goes into a new file, the damaged one is set aside."""

import logging
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cache.durable import TEMPORARY, sync_folder

log = logging.getLogger(__name__)

_KEY = re.compile(rb"[0-9a-f]{64}")

_LEAST_BYTES = 128
"""Bytes of a file for each row number, at least: a row holds its key twice, in the table and in the index."""

_PAGES = slice(28, 32)
"""Place of the number of pages in a file's header (big-endian)."""

_COMPANIONS = ("-journal", "-wal", "-shm")
"""Suffixes of files that SQLite keeps with a database and would apply to a new one of the same name."""


def salvage(path: Path, damage: str, table: str) -> None:
    """Replace a damaged file by one that holds every answer that can be read, and keep the damaged one beside it.

    Args:
        path: the file; the damaged one is kept under its name with .damaged, or .damaged-2 and so on.
        damage: why it counts as damaged, for the log.
        table: the SQL statement that makes the table of answers.
    """
    aside = _free(path)
    shutil.copy2(path, aside)  # first, so that a crash leaves at least as much as there was
    for suffix in _COMPANIONS:
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + suffix))
    whole = path.with_name(path.name + TEMPORARY)
    whole.unlink(missing_ok=True)
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.execute(table)
    _mend_first_page(path, whole)
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", _rows(path))
        (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    whole.replace(path)
    sync_folder(path.parent)
    log.warning(
        "%s is damaged (%s): %s answers were read from it and are used; the damaged file is kept as %s",
        path,
        " ".join(damage.split()),
        f"{count:,}",
        aside.name,
    )


def _free(path: Path) -> Path:
    """A name for the damaged file that no file has."""
    aside, number = path.with_name(path.name + ".damaged"), 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}.damaged-{number}"), number + 1
    return aside


def _mend_first_page(path: Path, empty: Path) -> None:
    """Give a damaged file the first page of an empty one: it holds the schema, and is the same in all of them."""
    first = bytearray(empty.read_bytes()[: int.from_bytes(empty.read_bytes()[16:18], "big")])
    first[_PAGES] = max(path.stat().st_size // len(first), 1).to_bytes(
        4, "big"
    )  # SQLite refuses a file that is shorter
    with path.open("r+b") as file:
        file.write(first)


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Keys and answers that can be read; rows on a damaged page are lost, and the search goes on after it."""
    last = 0
    most = path.stat().st_size // _LEAST_BYTES
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        while last <= most:
            try:
                found = connection.execute(
                    "SELECT rowid, key, answer FROM answers NOT INDEXED WHERE rowid > ? ORDER BY rowid", (last,)
                )
                for number, key, answer in found:
                    last = number
                    if isinstance(key, bytes) and isinstance(answer, bytes) and _KEY.fullmatch(key):
                        try:
                            yield key.decode(), answer.decode()
                        except UnicodeDecodeError:
                            continue
                return
            except sqlite3.DatabaseError:
                last += 1
