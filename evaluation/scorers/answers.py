"""Answers of other scorers, stored as they arrive, so that nothing is computed or asked twice.

One SQLite file for each scorer: an answer is stored whole or not at all, whenever the process ends.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cache import UserError


class Answers:
    """Key -> answer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        """The answer under a key; None if there is none."""
        row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, answers: Iterable[tuple[str, str]]) -> None:
        """Store answers, all or none of them."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", answers)


@contextmanager
def answers_in(path: Path) -> Iterator[Answers]:
    """The answers in a file, which is created if it is missing.

    Raises:
        UserError: it is no file of answers, or another process has locked it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
            yield Answers(connection)
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"{path} cannot be used ({error}): if no other command is using it, remove it; its answers are lost then"
        ) from None


def key_of(*parts: object) -> str:
    """A digest of everything that an answer depends on."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
