"""Answers of other scorers, stored as they arrive, so that nothing is computed or asked twice.

One SQLite file for each scorer: an answer is stored whole or not at all, whenever the process ends. A file that is
locked or cannot be written is left as it is; a damaged one is replaced by one with all answers that can still be read
(`answers_salvage`).
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cache import UserError
from evaluation.scorers.answers_salvage import salvage

TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

PATIENCE = 30.0
"""Seconds to wait for another command that writes to the same file."""


class Answers:
    """Key -> answer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._connection.text_factory = bytes  # SQLite does not check that a text is UTF-8

    def get(self, key: str) -> str | None:
        """The answer under a key; None if there is none that can be read."""
        row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        try:
            return None if row is None else bytes(row[0]).decode()
        except UnicodeDecodeError:
            return None

    def put(self, answers: Iterable[tuple[str, str]]) -> None:
        """Store answers, all or none of them."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", answers)


@contextmanager
def answers_in(path: Path) -> Iterator[Answers]:
    """The answers in a file, which is created if it is missing; of a damaged one, those that can still be read.

    Raises:
        UserError: another command is writing to the file, or it cannot be opened or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        damage = _damage(path)
        if damage is not None:
            salvage(path, damage, TABLE)
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            connection.execute(TABLE)
            yield Answers(connection)
    except sqlite3.OperationalError as error:
        raise UserError(_sentence(path, error)) from None
    except sqlite3.DatabaseError as error:
        if _code(error) not in _DAMAGED:
            raise
        raise UserError(
            f"{path} was damaged while it was read ({error}): run the same command again, which keeps every answer that"
            " can be read"
        ) from None


def key_of(*parts: object) -> str:
    """A digest of everything that an answer depends on."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def _damage(path: Path) -> str | None:
    """SQLite's word for the damage of a file; None for a file that is whole or missing."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
        try:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if _code(error) not in _DAMAGED:
                raise
            return str(error)
    return None if found == "ok" else str(found)


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None for errors of Python's module."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the upper bits tell variants apart


def _sentence(path: Path, error: sqlite3.OperationalError) -> str:
    """The error for a file that is not damaged, with a remedy that keeps its answers."""
    if _code(error) in _LOCKED:
        return f"another command is writing to {path}: run this one again when that one has ended"
    if _code(error) == sqlite3.SQLITE_FULL:
        return f"{path} cannot be written, for the disk is full: free space, and run the same command again"
    if _code(error) == sqlite3.SQLITE_ERROR:
        return f"{path} is a database of another program ({error}): move it to another folder"
    return (
        f"{path} cannot be opened or written ({error}): see to its permissions and disk; its answers are as they were"
    )
