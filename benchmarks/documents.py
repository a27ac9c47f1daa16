"""The documents that have tables, and the pairs of lines between which each table stands."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from cache import UserError

ROOT = Path(__file__).parents[1]
BEGIN = re.compile(r"<!-- table: (?P<name>[\w-]+) -->")
END = "<!-- end of table -->"


def documents(root: Path = ROOT) -> list[Path]:
    """The documents that may have tables: README.md and docs/."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


class Part(NamedTuple):
    """A table in a document."""

    name: str
    begin: int
    """Offset of what stands between its two lines."""
    end: int


def parts_of(text: str, path: Path, known: Collection[str]) -> list[Part]:
    """The tables of a document, in order.

    Args:
        text: of the document.
        path: of the document, for messages.
        known: names of all tables.

    Raises:
        UserError: a table has an unknown name, no end, or an end without a beginning.
    """
    found, open_name, begin, offset = [], None, 0, 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        where = f"{shown(path)}, line {number}"
        if named := BEGIN.fullmatch(line.strip()):
            if open_name is not None:
                raise UserError(f"{where}: table {open_name} has not ended yet: write {END} before this line")
            open_name, begin = named["name"], offset + len(line)
            if open_name not in known:
                raise UserError(f"{where}: no table is named {open_name}: take one of {', '.join(sorted(known))}")
        elif line.strip() == END:
            if open_name is None:
                raise UserError(f"{where}: no table begins before this end: write <!-- table: name --> above it")
            found.append(Part(open_name, begin, offset))
            open_name = None
        offset += len(line)
    if open_name is not None:
        raise UserError(f"{shown(path)}: table {open_name} has no end: write {END} after it")
    return found


def shown(path: Path) -> str:
    """The path as a message shows it: relative to the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
